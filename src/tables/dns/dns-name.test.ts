import assert from "node:assert/strict";
import { test } from "node:test";
import { toDnsName } from "./dns-name.ts";

const label63 = "a".repeat(63);
const names: readonly [given: string, name: string | undefined][] = [
  ["example.com", "example.com"],
  ["Example.COM.", "example.com"],
  ["a", "a"],
  ["_dmarc.example.com", "_dmarc.example.com"],
  ["1.example.com", "1.example.com"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["BÜCHER.Example.", "xn--bcher-kva.example"],
  ["例え.テスト", "xn--r8jz45g.xn--zckzah"],
  [`${label63}.example`, `${label63}.example`],
  [`${label63}a.example`, undefined],
  [`${label63}.${label63}.${label63}.${"a".repeat(61)}`, `${label63}.${label63}.${label63}.${"a".repeat(61)}`],
  [`${label63}.${label63}.${label63}.${"a".repeat(62)}`, undefined],
  ["", undefined],
  [".", undefined],
  ["a..b", undefined],
  ["a.b..", undefined],
  [".a", undefined],
  ["-a.example", undefined],
  ["a-.example", undefined],
  ["user@example.com", undefined],
  ["[192.0.2.1]", undefined],
  ["192.0.2.1", undefined],
  ["１９２.0.2.1", undefined],
  ["0x7f.1", undefined],
  ["::1", undefined],
  ["a b.example", undefined],
  ["a\0.example", undefined],
  ["a/b.example", undefined],
  ["ü/b.example", undefined],
  ["ü／b.example", undefined],
  ["ü:25", undefined],
  ["ü#.example", undefined],
  ["ü\n.example", undefined],
  ["\udcff.example", undefined],
  ["*.example", undefined],
];
for (const [given, name] of names)
  test(`a domain name: ${JSON.stringify(given.slice(0, 30))}`, () => assert.equal(toDnsName(given), name));
