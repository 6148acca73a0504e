import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { plainReason } from "./text-reason.ts";

const cases = [
  { name: "plain", reason: "the database is gone", want: "the database is gone" },
  { name: "lines", reason: "a\r\nb\tc\0d", want: "a  b c d" },
  { name: "terminal escapes", reason: "\x1b[2J\x9b31m\x7f", want: " [2J 31m " },
  { name: "Unicode's line ends", reason: "a\u2028b\u2029c\u0085d", want: "a b c d" },
  { name: "what is no text", reason: "a\udcfcb\ud800", want: "a b " },
  { name: "letters of every kind", reason: "Überlauf 💥", want: "Überlauf 💥" },
  { name: "200 bytes", reason: "x".repeat(200), want: "x".repeat(200) },
  { name: "201 bytes", reason: "x".repeat(201), want: "x".repeat(200) },
  { name: "200 bytes within a character", reason: "x".repeat(199) + "Ü", want: "x".repeat(199) },
  { name: "200 bytes, with the last character whole", reason: "Ü".repeat(101), want: "Ü".repeat(100) },
  { name: "200 units within a pair", reason: "x".repeat(199) + "💥", want: "x".repeat(199) + " " },
];
for (const { name, reason, want } of cases) test(`a reason: ${name}`, () => assert.equal(plainReason(reason), want));

test("any reason is one line of no more than 200 bytes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 400, size: "max" }), (reason) => {
      const plain = plainReason(reason);
      assert.ok(Buffer.byteLength(plain) <= 200);
      assert.ok(plain.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(plain));
    }),
  );
});
