import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parsePath } from "../protocols/lmtp/path.ts";
import { readGivenAddress } from "./given-address.ts";

const good: readonly (readonly [string, string])[] = [
  ["ann@example.com", "ann@example.com"],
  ["<ann@example.com>", "ann@example.com"],
  ["postmaster", "postmaster"],
  ["grüße@x", "grüße@x"],
  ['<"a b> \\" c"@x>', '"a b> \\" c"@x'],
];
for (const [given, address] of good)
  test(`${given} is an address`, () => assert.deepEqual(readGivenAddress(given), { kind: "ok", value: address }));

const bad: readonly (readonly [string, string])[] = [
  ["", "it is empty"],
  ["<>", "it is empty"],
  ["a@b>", "it has a bracket that belongs to nothing"],
  ["<a@b", "it has a bracket that belongs to nothing"],
  ["<<a@b>>", "it has a bracket that belongs to nothing"],
  ["Ann <a@b>", "it has a bracket that belongs to nothing"],
  ["a b@c", "it has a blank outside of quotes"],
  ['"a@b', "a quote in it is not closed"],
  ["a\r\nb@c", "it has a control character"],
  ["a\\b@c", "it has a backslash outside of quotes"],
  ["a".repeat(1001), "it is longer than 1000 bytes"],
];
for (const [given, reason] of bad)
  test(`${JSON.stringify(given.slice(0, 20))} is none`, () =>
    assert.deepEqual(readGivenAddress(given), { kind: "bad", reason }));

test("what route takes is what the daemon takes", () => {
  const piece = fc.constantFrom("a", "b.c", "@", "@x", '"', '"a b"', "\\", '\\"', " ", "<", ">", "\t", "ü", "a@b");
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), (pieces) => {
      const text = pieces.join("");
      const onWire = parsePath(`TO:<${Buffer.from(text).toString("latin1")}>`, "TO:");
      const isTaken = onWire?.rest === "" && onWire.path.text !== "";
      assert.equal(readGivenAddress(`<${text}>`).kind, isTaken ? "ok" : "bad");
    }),
    { numRuns: 3000 },
  );
});
