import assert from "node:assert/strict";
import fc from "fast-check";
import type { Hold } from "../../src/directory/directory.ts";
import { ADMIN, directoryTests, newMove } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";

const RUNS = 20;

export function testHolds(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest("a hold says whose it is, why, since when and until when", async ({ directory, clock }) => {
    const sinceMs = clock.wallMs();
    const wanted = { user: "u", owner: "admin", reason: "moving", deadlineMs: sinceMs + 900 };
    const first = await directory.holds.place(wanted, ADMIN);
    assert.deepEqual(first, { ...wanted, generation: first.generation, sinceMs });
    assert.deepEqual(directory.findHolds("u"), [first]);
    clock.advance(100);
    const longer = { ...wanted, reason: "still", deadlineMs: sinceMs + 5_000 };
    const second = await directory.holds.place(longer, { who: "bob", why: "longer" });
    assert.deepEqual(second, { ...longer, generation: second.generation, sinceMs });
    assert.ok(second.generation > first.generation);
    assert.deepEqual(directory.findHolds("u"), [second]);
    assert.deepEqual(await directory.holds.release({ user: "u", owner: "admin" }, ADMIN), {
      kind: "released",
      hold: second,
      isStillHeld: false,
    });
    assert.deepEqual(
      directory.history("u").map(({ who, what, from, to }) => ({ who, what, from, to })),
      [
        { who: "admin", what: "release", from: "admin", to: undefined },
        { who: "bob", what: "hold", from: "admin", to: "admin" },
        { who: "admin", what: "hold", from: undefined, to: "admin" },
      ],
    );
  });

  directoryTest("one that was extended meanwhile is not released with the generation it had", async ({ directory }) => {
    const hold = { user: "u", owner: "a", reason: "", deadlineMs: 10 };
    const { generation } = await directory.holds.place(hold, ADMIN);
    const extended = await directory.holds.place({ ...hold, deadlineMs: 20 }, ADMIN);
    const late = await directory.holds.release({ user: "u", owner: "a", generation }, ADMIN);
    assert.deepEqual(late, { kind: "not-held", found: extended });
    assert.deepEqual(directory.findHolds("u"), [extended]);
    const missing = await directory.holds.release({ user: "u", owner: "b" }, ADMIN);
    assert.deepEqual(missing, { kind: "not-held", found: undefined });
    assert.equal(directory.history("u").length, 2);
  });

  directoryTest("the hold of an active move is released by that move alone", async ({ directory }) => {
    await directory.moves.create([newMove("m", "u")], ADMIN);
    const hold = { user: "u", reason: "", deadlineMs: 10 };
    await directory.holds.place({ ...hold, owner: "admin" }, ADMIN);
    await directory.holds.place({ ...hold, owner: "move:m" }, { who: "move:m", why: "moving" });
    const refused = await directory.holds.release({ user: "u", owner: "move:m" }, ADMIN);
    assert.deepEqual(refused, { kind: "move-active", user: "u", moveId: "m" });
    const own = await directory.holds.release({ user: "u", owner: "admin" }, ADMIN);
    assert.ok(own.kind === "released" && own.isStillHeld);
    const byMove = await directory.holds.release({ user: "u", owner: "move:m" }, { who: "move:m", why: "done" });
    assert.ok(byMove.kind === "released" && !byMove.isStillHeld);
    await directory.holds.place({ ...hold, owner: "move:m" }, ADMIN);
    await directory.moves.append("m", { entryJson: "{}", state: "done", isActive: false });
    assert.equal((await directory.holds.release({ user: "u", owner: "move:m" }, ADMIN)).kind, "released");
  });

  directoryTest("holds nest as in a simple model", async ({ directory }) => {
    const user = fc.constantFrom("u1", "u2");
    const owner = fc.constantFrom("a", "b", "c");
    const command = fc.oneof(
      fc.record({ kind: fc.constant("place" as const), user, owner, deadlineMs: fc.nat(9) }),
      // The generation: that of the hold, that of one before it, or any.
      fc.record({ kind: fc.constant("release" as const), user, owner, which: fc.constantFrom("any", "is", "was") }),
    );
    const model = new Map<string, Hold>();
    let lastGeneration = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 20 }), async (commands) => {
        for (const given of commands) {
          const key = `${given.user} ${given.owner}`;
          const earlier = model.get(key);
          if (given.kind === "place") {
            const { kind, ...wanted } = given;
            const hold = await directory.holds.place({ ...wanted, reason: kind }, ADMIN);
            assert.ok(hold.generation > lastGeneration);
            lastGeneration = hold.generation;
            model.set(key, hold);
          } else {
            const generation = (earlier?.generation ?? 1) - (given.which === "was" ? 1 : 0);
            const release = given.which === "any" ? {} : { generation };
            const result = await directory.holds.release({ user: given.user, owner: given.owner, ...release }, ADMIN);
            const isReleased = earlier !== undefined && given.which !== "was";
            if (isReleased) model.delete(key);
            const isStillHeld = model.values().some((hold) => hold.user === given.user);
            assert.deepEqual(
              result,
              isReleased ? { kind: "released", hold: earlier, isStillHeld } : { kind: "not-held", found: earlier },
            );
          }
          const all = [...model.values()].toSorted((a, b) => a.generation - b.generation);
          assert.deepEqual(directory.holds.list(), all);
          for (const held of ["u1", "u2"])
            assert.deepEqual(
              directory.find(held).holds,
              all.filter((hold) => hold.user === held),
            );
          const expired = all.filter((hold) => hold.deadlineMs <= 5).map((hold) => hold.deadlineMs);
          assert.deepEqual(
            directory.holds.expired(5).map((hold) => hold.deadlineMs),
            expired.toSorted((a, b) => a - b),
          );
        }
      }),
      { numRuns: RUNS },
    );
    const [first, second] = directory.holds.list();
    if (first !== undefined) assert.deepEqual(directory.holds.list({ afterGeneration: first.generation })[0], second);
  });
}
