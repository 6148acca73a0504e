import assert from "node:assert/strict";
import { encodeAnswer } from "../../src/protocols/auth-http/answer.ts";
import { RequestDecoder, type RequestHead } from "../../src/protocols/auth-http/request-decoder.ts";
import { readRequest } from "../../src/protocols/auth-http/request.ts";
import { fuzz, inChunks } from "./corpus.ts";

function decode(input: Buffer, chunkBytes: readonly number[]): RequestHead[] {
  const decoder = new RequestDecoder();
  const heads: RequestHead[] = [];
  inChunks(input, chunkBytes, (chunk) => {
    const head = decoder.feed(chunk);
    if (head !== undefined) heads.push(head);
  });
  return heads;
}

const WORDS = [
  "GET / HTTP/1.0\r\n",
  "GET / HTTP/1.1\n",
  "Auth-Protocol: imap\r\n",
  "Auth-Protocol: smtp\r\n",
  "Auth-Method: plain\r\n",
  "Auth-Method: cram-md5\r\n",
  "Auth-User: ada%20@example.com\r\n",
  "Auth-User: %0d%0a%00\xff\r\n",
  "Auth-User",
  ":",
  " ",
  "%",
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\0",
];

fuzz("auth-http", WORDS, (input, cuts) => {
  const heads = decode(input, cuts);
  assert.deepEqual(heads, decode(input, [input.length]), "the same in any chunking");
  assert.ok(heads.length <= 1);
  const [head] = heads;
  if (head?.kind !== "head") return;
  for (const [name, value] of head.headers) assert.doesNotMatch(`${name}:${value}`, /[\r\n\0]/);
  const request = readRequest(head.headers);
  if (request.kind === "malformed") return;
  const answer = encodeAnswer(request.service, { kind: "temporary" }).toString("latin1");
  assert.match(answer, /^HTTP\/1\.0 200 OK\r\n(?:[A-Z][\w-]+: [ -~]+\r\n){2,3}\r\n$/);
});
