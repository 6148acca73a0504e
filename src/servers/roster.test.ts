import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Roster } from "./roster.ts";

test("whoever leaves, in whatever order, the others are still here", () => {
  // true: one comes; a number: who is at this place among those here leaves
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constant(true as const), fc.nat(20))), (moves) => {
      const roster = new Roster<number>();
      const here = new Map<number, () => void>();
      for (const [at, move] of moves.entries()) {
        if (move === true) here.set(at, roster.add(at));
        const leaving = move === true ? undefined : [...here][move];
        if (leaving === undefined) continue;
        here.delete(leaving[0]);
        leaving[1]();
      }
      assert.equal(roster.size, here.size);
      assert.deepEqual(new Set(roster.all), new Set(here.keys()));
    }),
  );
});
