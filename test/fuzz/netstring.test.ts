import assert from "node:assert/strict";
import { decodeReply, encodeReply } from "../../src/protocols/socketmap/reply.ts";
import {
  decodeRequest,
  encodeRequest,
  MAX_REQUEST_BYTES,
  RequestDecoder,
} from "../../src/protocols/socketmap/request.ts";
import { encodeNetstring, NetstringDecoder, type NetstringEvent } from "../../src/wire/netstring.ts";
import { fuzz, inChunks } from "./corpus.ts";

function decode(input: Buffer, chunkBytes: readonly number[]): NetstringEvent[] {
  const decoder = new NetstringDecoder(MAX_REQUEST_BYTES);
  const events: NetstringEvent[] = [];
  inChunks(input, chunkBytes, (chunk) => {
    decoder.push(chunk);
    for (let event = decoder.next(); event !== undefined; event = decoder.next())
      events.push(event.kind === "payload" ? { kind: "payload", bytes: Buffer.from(event.bytes) } : event);
  });
  return events;
}

fuzz("socketmap", ["0:,", "1:a,", "4:tr *,", ":", ",", "0", "9", " ", "OK ", "NOTFOUND ", "\xff"], (input, cuts) => {
  const events = decode(input, cuts);
  assert.deepEqual(events, decode(input, [input.length]), "the same in any chunking");

  // There is one way only to write a netstring: what was read must have been written so.
  const payloads = events.flatMap((event) => (event.kind === "payload" ? [event.bytes] : []));
  const written = Buffer.concat(payloads.map((payload) => encodeNetstring(payload)));
  assert.deepEqual(written, input.subarray(0, written.length));
  assert.ok(
    events.slice(0, -1).every(({ kind }) => kind === "payload"),
    "malformed comes last",
  );

  let queries = 0;
  const requests = new RequestDecoder();
  inChunks(input, cuts, (chunk) => {
    requests.push(chunk);
    for (let request = requests.next(); request !== undefined; request = requests.next())
      if (request.kind === "query") queries += 1;
  });
  const firstBad = payloads.findIndex((payload) => !payload.includes(" "));
  assert.equal(queries, firstBad === -1 ? payloads.length : firstBad);

  for (const payload of payloads) {
    const request = decodeRequest(payload);
    assert.equal(request.kind, payload.includes(" ") ? "query" : "malformed");
    if (request.kind === "query") assert.deepEqual(encodeRequest(request.map, request.key), encodeNetstring(payload));
    checkReply(payload);
  }
});

function checkReply(payload: Buffer): void {
  const answer = decodeReply(payload);
  const [status] = payload.toString("latin1").split(" ");
  assert.equal(answer.kind, status === "OK" ? "found" : status === "NOTFOUND" ? "absent" : "failed");
  const reply = Buffer.from(encodeReply(answer), "latin1");
  const [again, ...others] = decode(reply, [5]);
  assert.ok(again?.kind === "payload" && others.length === 0);
  if (answer.kind !== "failed") assert.deepEqual(decodeReply(again.bytes), answer);
  if (answer.kind === "failed") assert.match(reply.toString(), /^\d+:TEMP [^\p{Cc}]*,$/u);
}
