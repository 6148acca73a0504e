import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ODD_KEYS } from "../../../test/support/directory-contract-parts.ts";
import { rangeOf } from "./text-range.ts";

const key = fc
  .oneof(
    fc.constantFrom(...ODD_KEYS),
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom("a", "\uffff", "\ud7ff", "\u{10ffff}") }),
  )
  .filter((text) => text.isWellFormed() && !text.includes("\0"));

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test("a range has the keys with the prefix that come after the one before, and no others", () => {
  fc.assert(
    fc.property(key, key, fc.option(key, { nil: undefined }), (prefix, other, after) => {
      for (const user of [other, prefix + other]) {
        const { first, end } = rangeOf(prefix, after);
        const isIn = compare(user, first) >= 0 && (typeof end !== "string" || compare(user, end) < 0);
        const isWanted = user.startsWith(prefix) && (after === undefined || compare(user, after) > 0);
        assert.equal(isIn, isWanted, JSON.stringify({ user, first, end }));
      }
    }),
    { numRuns: 5_000 },
  );
});
