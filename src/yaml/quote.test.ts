import assert from "node:assert/strict";
import { test } from "node:test";
import { quoteScalar } from "./quote.ts";

const cases: readonly [string, string][] = [
  ["user1", "user1"],
  ["user1@example.com", "user1@example.com"],
  ["/run/lmtp", "/run/lmtp"],
  ["ürsula", "ürsula"],
  ["", '""'],
  ["no", '"no"'],
  ["12345", '"12345"'],
  ["a b", '"a b"'],
  ["a:b", '"a:b"'],
  ["-a", '"-a"'],
  ['"\\', String.raw`"\"\\"`],
  ["a\nb\t", String.raw`"a\nb\t"`],
  ["\u007f\u0085\u2028\ufeff", String.raw`"\u007f\u0085\u2028\ufeff"`],
];
for (const [text, quoted] of cases)
  test(`${JSON.stringify(text)} is written ${quoted}`, () => assert.equal(quoteScalar(text), quoted));
