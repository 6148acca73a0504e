import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_HEAD_BYTES, MAX_HEADERS, RequestDecoder } from "./request-decoder.ts";

/** The headers as `name=value`, or the status and why. */
function decodeInChunks(input: string, chunkBytes: number): readonly string[] | undefined {
  const decoder = new RequestDecoder();
  const bytes = Buffer.from(input, "latin1");
  let seen: readonly string[] | undefined;
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const head = decoder.feed(bytes.subarray(at, at + chunkBytes));
    if (head === undefined) continue;
    assert.equal(seen, undefined, "one head and no more");
    seen =
      head.kind === "head"
        ? [...head.headers].map(([name, value]) => `${name}=${value}`)
        : [`${head.status}: ${head.reason}`];
  }
  return seen;
}

const GET = "GET /auth?x=1 HTTP/1.0\r\n";
const NONE = "400 Bad Request: a header line that is none";
const NO_HTTP = "400 Bad Request: no request of HTTP/1.0 or HTTP/1.1";
const LARGE = `431 Request Header Fields Too Large: a head of more than ${MAX_HEAD_BYTES} bytes or ${MAX_HEADERS} lines`;

/** As nginx 1.22 was seen to send it. */
const SEEN = `${GET}Host: 127.0.0.1\r\nAuth-Method: plain\r\nAuth-User: user1@example.com\r\nAuth-Pass: pw\r\nAuth-Protocol: imap\r\nAuth-Login-Attempt: 1\r\nClient-IP: 127.0.0.1\r\nX-Auth-Key: s3cret\r\n\r\n`;

const cases: readonly { name: string; input: string; want: readonly string[] | undefined }[] = [
  {
    name: "nginx",
    input: SEEN,
    want: [
      "host=127.0.0.1",
      "auth-method=plain",
      "auth-user=user1@example.com",
      "auth-pass=pw",
      "auth-protocol=imap",
      "auth-login-attempt=1",
      "client-ip=127.0.0.1",
      "x-auth-key=s3cret",
    ],
  },
  { name: "HTTP/1.1 and a path of its own", input: "GET / HTTP/1.1\r\nA: b\r\n\r\n", want: ["a=b"] },
  { name: "no headers", input: `${GET}\r\n`, want: [] },
  { name: "lines that end in LF", input: "GET / HTTP/1.0\nA: b\n\n", want: ["a=b"] },
  { name: "empty values and blanks around", input: `${GET}A:\r\nB: \t c d \r\n\r\n`, want: ["a=", "b=c d"] },
  {
    name: "8-bit and control characters",
    input: `${GET}A: \xc3\xbc\x01\x7f\t!\r\n\r\n`,
    want: ["a=\xc3\xbc\x01\x7f\t!"],
  },
  { name: "a colon in the value", input: `${GET}A: b:c\r\n\r\n`, want: ["a=b:c"] },
  { name: "what follows the head", input: `${GET}\r\nGET / HTTP/1.0\r\n\r\n`, want: [] },
  { name: "no end", input: SEEN.slice(0, -1), want: undefined },
  { name: "a blank line first", input: `\r\n${GET}\r\n`, want: [NO_HTTP] },
  { name: "HTTP/2", input: "PRI * HTTP/2.0\r\n\r\n", want: [NO_HTTP] },
  { name: "HTTP/0.9", input: "GET /\r\n\r\n", want: [NO_HTTP] },
  { name: "a path with a blank", input: "GET /a b HTTP/1.0\r\n\r\n", want: [NO_HTTP] },
  {
    name: "another method",
    input: "POST / HTTP/1.0\r\n\r\n",
    want: ["405 Method Not Allowed: the method is POST, not GET"],
  },
  { name: "no colon", input: `${GET}A b\r\n\r\n`, want: [NONE] },
  { name: "a blank before the colon", input: `${GET}A : b\r\n\r\n`, want: [NONE] },
  { name: "no name", input: `${GET}: b\r\n\r\n`, want: [NONE] },
  { name: "a continued line", input: `${GET}A: b\r\n c\r\n\r\n`, want: [NONE] },
  { name: "NUL", input: `${GET}A: b\0\r\n\r\n`, want: [NONE] },
  { name: "a CR within", input: `${GET}A: b\rAuth-User: c\r\n\r\n`, want: [NONE] },
  {
    name: "a header twice",
    input: `${GET}Auth-User: a\r\nauth-user: b\r\n\r\n`,
    want: ["400 Bad Request: two headers auth-user"],
  },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, 7, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(decodeInChunks(input, chunkBytes), want));

const many = (count: number): string => Array.from({ length: count }, (_, at) => `N${at}: v\r\n`).join("");
const limits = [
  { name: "as many headers as may be", input: `${GET}${many(MAX_HEADERS)}\r\n`, isTaken: true },
  { name: "one more", input: `${GET}${many(MAX_HEADERS + 1)}\r\n`, isTaken: false },
  { name: "a long line", input: `${GET}A: ${"b".repeat(60_000)}\r\n\r\n`, isTaken: true },
  { name: "a line longer than a head", input: `${GET}A: ${"b".repeat(MAX_HEAD_BYTES)}\r\n\r\n`, isTaken: false },
  {
    name: "two long lines",
    input: `${GET}A: ${"b".repeat(40_000)}\r\nB: ${"b".repeat(40_000)}\r\n\r\n`,
    isTaken: false,
  },
];
for (const { name, input, isTaken } of limits)
  for (const chunkBytes of [100, 4096, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => {
      const seen = decodeInChunks(input, chunkBytes);
      if (isTaken) assert.notDeepEqual(seen, [LARGE]);
      else assert.deepEqual(seen, [LARGE]);
      assert.ok(seen !== undefined);
    });
