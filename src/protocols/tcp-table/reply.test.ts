import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeReply, MAX_REPLY_BYTES, NOT_SUPPORTED, type TcpTableAnswer } from "./reply.ts";

const cases: { name: string; answer: TcpTableAnswer; want: string }[] = [
  { name: "a value", answer: { kind: "found", value: "lmtp:unix:private/a" }, want: "200 lmtp:unix:private/a\n" },
  { name: "blanks", answer: { kind: "found", value: "a b\tc" }, want: "200 a%20b%09c\n" },
  { name: "lines and controls", answer: { kind: "found", value: "\r\n\0\x7f" }, want: "200 %0D%0A%00%7F\n" },
  { name: "percent", answer: { kind: "found", value: "100%41" }, want: "200 100%2541\n" },
  { name: "UTF-8", answer: { kind: "found", value: "Ü€" }, want: "200 %C3%9C%E2%82%AC\n" },
  { name: "no UTF-8", answer: { kind: "found", value: "\udcfc" }, want: "200 %FC\n" },
  { name: "every plain character", answer: { kind: "found", value: "!~#/,:@+" }, want: "200 !~#/,:@+\n" },
  { name: "an empty value", answer: { kind: "found", value: "" }, want: "200 \n" },
  { name: "absent", answer: { kind: "absent" }, want: "500 not%20found\n" },
  { name: "failed", answer: { kind: "failed", reason: "db timeout" }, want: "400 db%20timeout\n" },
  { name: "a reason of lines", answer: { kind: "failed", reason: "a\nb" }, want: "400 a%20b\n" },
  { name: "a long reason", answer: { kind: "failed", reason: " ".repeat(300) }, want: `400 ${"%20".repeat(200)}\n` },
];
for (const { name, answer, want } of cases)
  test(`the reply for ${name}`, () => assert.equal(encodeReply(answer), want));

test("a value that would be cut by Postfix is a temporary failure", () => {
  const longest = "x".repeat(MAX_REPLY_BYTES - "200 \n".length);
  assert.equal(encodeReply({ kind: "found", value: longest }).length, 4096);
  assert.equal(
    encodeReply({ kind: "found", value: `${longest}x` }),
    "400 answer%20of%204097%20bytes,%20more%20than%20the%204096%20that%20Postfix%20reads\n",
  );
  assert.match(encodeReply({ kind: "found", value: "Ü".repeat(1000) }), /^400 answer%20of%206005%20/);
});

test("put is answered", () => assert.equal(NOT_SUPPORTED, "400 put%20is%20not%20supported\n"));
