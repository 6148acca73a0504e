import assert from "node:assert/strict";
import { encodePercent } from "../../src/protocols/tcp-table/percent.ts";
import { encodeReply } from "../../src/protocols/tcp-table/reply.ts";
import { RequestDecoder, type TcpTableRequest } from "../../src/protocols/tcp-table/request-decoder.ts";
import { fuzz, inChunks } from "./corpus.ts";

function decode(input: Buffer, chunkBytes: readonly number[]): TcpTableRequest[] {
  const decoder = new RequestDecoder();
  const requests: TcpTableRequest[] = [];
  inChunks(input, chunkBytes, (chunk) => {
    decoder.push(chunk);
    for (let request = decoder.next(); request !== undefined; request = decoder.next()) requests.push(request);
  });
  return requests;
}

fuzz("tcp-table", ["get ", "put ", "\n", "\r\n", "%", "%0a", "%FF", "%c3%9c", " ", "\xff", "\0"], (input, cuts) => {
  const requests = decode(input, cuts);
  assert.deepEqual(requests, decode(input, [input.length]), "the same in any chunking");
  assert.ok(
    requests.slice(0, -1).every(({ kind }) => kind !== "malformed"),
    "malformed comes last",
  );
  const lines = input.toString("latin1").split("\n").length - 1;
  assert.ok(requests.at(-1)?.kind === "malformed" ? requests.length <= lines : requests.length === lines);

  for (const request of requests) {
    if (request.kind !== "get") continue;
    assert.deepEqual(decode(Buffer.from(`get ${encodePercent(request.key)}\n`), cuts), [request]);
    const reply = encodeReply({ kind: "found", value: request.key });
    assert.ok(reply.length <= 4096);
    assert.match(reply, /^(?:200|400) [!-~]*\n$/);
    assert.match(encodeReply({ kind: "failed", reason: request.key }), /^400 [!-~]{0,600}\n$/);
  }
});
