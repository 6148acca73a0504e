import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeReply, encodeReply, MAX_REPLY_BYTES, type SocketmapAnswer } from "./reply.ts";

const encodings: { name: string; answer: SocketmapAnswer; want: string }[] = [
  { name: "a value", answer: { kind: "found", value: "admin@example.com" }, want: "20:OK admin@example.com," },
  {
    name: "two results",
    answer: { kind: "found", value: "user1@example.com, user2@example.com" },
    want: "39:OK user1@example.com, user2@example.com,",
  },
  { name: "an empty value", answer: { kind: "found", value: "" }, want: "3:OK ," },
  { name: "UTF-8", answer: { kind: "found", value: "Ü€" }, want: "8:OK \xc3\x9c\xe2\x82\xac," },
  { name: "no UTF-8", answer: { kind: "found", value: "a\udcfc" }, want: "5:OK a\xfc," },
  { name: "a value of lines", answer: { kind: "found", value: "a\nb" }, want: "6:OK a\nb," },
  { name: "absent", answer: { kind: "absent" }, want: "9:NOTFOUND ," },
  { name: "failed", answer: { kind: "failed", reason: "db timeout" }, want: "15:TEMP db timeout," },
  { name: "failed, without a reason", answer: { kind: "failed", reason: "" }, want: "5:TEMP ," },
  { name: "a reason of lines", answer: { kind: "failed", reason: "a\r\n\x1b[mb" }, want: "12:TEMP a   [mb," },
  { name: "a long reason", answer: { kind: "failed", reason: "x".repeat(300) }, want: `205:TEMP ${"x".repeat(200)},` },
];
for (const { name, answer, want } of encodings)
  test(`the reply for ${name}`, () => assert.equal(encodeReply(answer), want));

const TOO_LONG = /^\d+:TEMP answer of \d+ bytes, more than the 100000 that Postfix reads,$/;

test("a value that would be cut by Postfix is a temporary failure", () => {
  const longest = "x".repeat(MAX_REPLY_BYTES - 3);
  assert.equal(encodeReply({ kind: "found", value: longest }), `100000:OK ${longest},`);
  assert.match(encodeReply({ kind: "found", value: `${longest}x` }), TOO_LONG);
});

test("bytes are counted, not characters", () => {
  const umlauts = "Ü".repeat((MAX_REPLY_BYTES - 4) / 2);
  assert.match(encodeReply({ kind: "found", value: umlauts }), /^99999:OK /);
  assert.match(encodeReply({ kind: "found", value: `${umlauts}Ü` }), TOO_LONG);
  const bytes = "\udcff".repeat(MAX_REPLY_BYTES - 3);
  assert.match(encodeReply({ kind: "found", value: bytes }), /^100000:OK \xff/);
  assert.match(encodeReply({ kind: "found", value: `${bytes}\udcff` }), TOO_LONG);
});

const FOUND_EMPTY: SocketmapAnswer = { kind: "found", value: "" };
const decodings: { reply: string; want: SocketmapAnswer }[] = [
  { reply: "OK admin@example.com", want: { kind: "found", value: "admin@example.com" } },
  { reply: "OK a b ", want: { kind: "found", value: "a b " } },
  { reply: "OK  a", want: { kind: "found", value: " a" } },
  { reply: "OK \xc3\x9c\xfc", want: { kind: "found", value: "Ü\udcfc" } },
  { reply: "OK ", want: FOUND_EMPTY },
  { reply: "OK", want: FOUND_EMPTY },
  { reply: "NOTFOUND ", want: { kind: "absent" } },
  { reply: "NOTFOUND", want: { kind: "absent" } },
  { reply: "NOTFOUND no such user", want: { kind: "absent" } },
  { reply: "TEMP db timeout", want: { kind: "failed", reason: "the server answered TEMP db timeout" } },
  { reply: "TEMP ", want: { kind: "failed", reason: "the server answered TEMP" } },
  { reply: "TIMEOUT a\nb", want: { kind: "failed", reason: "the server answered TIMEOUT a b" } },
  { reply: "PERM no", want: { kind: "failed", reason: "the server answered PERM no" } },
  { reply: "", want: { kind: "failed", reason: `the server's answer makes no sense: ""` } },
  { reply: "ok x", want: { kind: "failed", reason: `the server's answer makes no sense: "ok x"` } },
  { reply: "NOTFOUNDX", want: { kind: "failed", reason: `the server's answer makes no sense: "NOTFOUNDX"` } },
  { reply: "OK\tx", want: { kind: "failed", reason: String.raw`the server's answer makes no sense: "OK\tx"` } },
];
for (const { reply, want } of decodings)
  test(`another server's ${JSON.stringify(reply)}`, () =>
    assert.deepEqual(decodeReply(Buffer.from(reply, "latin1")), want));

test("whatever is not a clear answer is a failure", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      const reply = Buffer.from(bytes);
      const { kind } = decodeReply(reply);
      const [status] = reply.toString("latin1").split(" ");
      assert.equal(kind, status === "OK" ? "found" : status === "NOTFOUND" ? "absent" : "failed");
    }),
  );
});
