import assert from "node:assert/strict";
import { test } from "node:test";
import { planMoves } from "./plan.ts";
import type { PlanParts } from "./plan.ts";

function partsOf(): PlanParts {
  return {
    directory: { moves: { findActive: () => undefined } },
    residence: () => Promise.resolve({ kind: "lives", backend: "old" }),
    commands: { faultOf: () => undefined },
    checks: { faultOf: () => undefined },
    defaultPreset: () => "copy",
    bypass: () => undefined,
    clock: { wallMs: () => 0 },
  } as unknown as PlanParts;
}

test("a pattern is no user, though the fallback would take it for one", async () => {
  const request = { users: ["ann*", "b?b", "cid"], to: "new", isDryRun: true, author: { who: "admin", why: "" } };
  const { planned, refused } = await planMoves(request, partsOf(), () => undefined);
  assert.deepEqual([planned.map(({ user }) => user), refused.map(({ user }) => user)], [["cid"], ["ann*", "b?b"]]);
});

test("however many users are looked up, deliveries have their turn", async () => {
  let turns = 0;
  const next = (): void => {
    turns += 1;
    timer = setImmediate(next);
  };
  let timer = setImmediate(next);
  const users = Array.from({ length: 10_000 }, (_, index) => `u${index}`);
  const request = { users, to: "new", isDryRun: true, author: { who: "admin", why: "" } };
  const { planned } = await planMoves(request, partsOf(), () => undefined);
  clearImmediate(timer);
  assert.equal(planned.length, users.length);
  assert.ok(turns >= 50, `others had ${turns} turns`);
});

test("the history tells rehearsals from moves, whatever else was given as the reason", async () => {
  const whys: string[] = [];
  const create = (moves: readonly object[], { why }: { why: string }): unknown => {
    whys.push(why);
    return { created: moves, refused: [] };
  };
  const parts = { ...partsOf(), directory: { moves: { findActive: () => undefined, create } } } as unknown as PlanParts;
  for (const why of ["", "weekend"])
    for (const isRehearsal of [false, true]) {
      const request = { users: ["ann"], to: "new", isRehearsal, author: { who: "admin", why } };
      await planMoves(request, parts, () => undefined);
    }
  assert.deepEqual(whys, ["move to new", "rehearsal of a move to new", "weekend", "rehearsal: weekend"]);
});
