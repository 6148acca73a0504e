import assert from "node:assert/strict";
import { ADMIN, directoryTests, newMove } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";
import type { Directory, Hold } from "../../src/directory/directory.ts";

const MOVER = { who: "move:m", why: "moving" };
const SWITCHED = { entryJson: '{"is":"switched"}', state: "switched", isActive: true };

export function testMoves(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest("a user has one active move", async ({ directory, clock }) => {
    const nowMs = clock.wallMs();
    const given = [newMove("m1", "u"), { ...newMove("m2", "v"), entryJson: '"first"' }, newMove("m3", "u")];
    const { created, refused } = await directory.moves.create(given, ADMIN);
    const kept = { isActive: true, createdMs: nowMs, changedMs: nowMs };
    const [first, second] = created;
    assert.deepEqual(created, [
      { ...newMove("m1", "u"), number: first?.number, ...kept },
      { ...newMove("m2", "v"), number: second?.number, ...kept },
    ]);
    assert.deepEqual(refused, [{ kind: "move-active", user: "u", moveId: "m1" }]);
    assert.deepEqual(directory.moves.findActive("u"), first);
    assert.deepEqual(directory.moves.find("m2"), second);
    assert.equal(directory.moves.find("m3"), undefined);
    assert.deepEqual(directory.moves.journal("m1"), []);
    assert.deepEqual(directory.moves.journal("m2"), [{ position: 1, atMs: nowMs, entryJson: '"first"' }]);
    assert.deepEqual(
      directory.history("u").map(({ what, from, to, who }) => ({ what, from, to, who })),
      [{ what: "move", from: "old", to: "new", who: "admin" }],
    );

    await directory.moves.append("m1", { entryJson: "1", state: "done", isActive: false });
    assert.equal(directory.moves.findActive("u"), undefined);
    assert.equal((await directory.moves.create([newMove("m4", "u")], ADMIN)).created.length, 1);
    const again = await directory.moves.append("m1", { entryJson: "2", state: "planned", isActive: true });
    assert.deepEqual(again, { kind: "move-active", user: "u", moveId: "m4" });
    assert.equal(directory.moves.journal("m1").length, 1);
    assert.equal(directory.moves.find("m1")?.state, "done");
  });

  directoryTest("an id is used once, and what cannot be leaves nothing behind", async ({ directory }) => {
    await directory.moves.create([newMove("m", "u")], ADMIN);
    await assert.rejects(directory.moves.create([newMove("n", "v"), newMove("m", "w")], ADMIN), RangeError);
    assert.equal(directory.moves.find("n"), undefined);
    assert.equal(directory.moves.findActive("v"), undefined);
    assert.deepEqual(directory.history("v"), []);
    await assert.rejects(directory.moves.append("n", SWITCHED), RangeError);
    const many = Array.from({ length: 2_001 }, (_, number) => newMove(`x${number}`, `x${number}`));
    await assert.rejects(directory.moves.create(many, ADMIN), RangeError);
  });

  directoryTest("journals keep what was written, in order, however many are written at once", async (opened) => {
    const { directory, clock } = opened;
    const ids = Array.from({ length: 40 }, (_, number) => `m${number}`);
    await directory.moves.create(
      ids.map((id) => newMove(id, `user of ${id}`)),
      ADMIN,
    );
    clock.advance(3);
    const rounds = [1, 2, 3, 4, 5];
    const written = rounds.flatMap((round) =>
      ids.map((id) => directory.moves.append(id, { entryJson: `"${round}"`, state: `s${round}`, isActive: true })),
    );
    for (const [number, result] of (await Promise.all(written)).entries())
      assert.deepEqual(result, { kind: "appended", position: Math.floor(number / ids.length) + 1 });
    const atMs = clock.wallMs();
    for (const id of ids) {
      assert.deepEqual(
        directory.moves.journal(id),
        rounds.map((round) => ({ position: round, atMs, entryJson: `"${round}"` })),
      );
      assert.partialDeepStrictEqual(directory.moves.find(id), { state: "s5", isActive: true, changedMs: atMs });
    }
  });

  directoryTest("a step brings the entries before it, in one commit", async ({ directory, clock }) => {
    await directory.moves.create([newMove("m", "u")], ADMIN);
    const step = { earlierJson: ["1", "2"], entryJson: "3", state: "lock", isActive: true };
    assert.deepEqual(await directory.moves.append("m", step), { kind: "appended", position: 3 });
    const hold = await directory.holds.place(
      { user: "u", owner: "move:m", reason: "", deadlineMs: clock.wallMs() + 1_000 },
      MOVER,
    );
    const cutover = { moveId: "m", backend: "new", generation: hold.generation, nowMs: clock.wallMs() };
    const late = { ...cutover, generation: 0, step: { ...SWITCHED, earlierJson: ["no"] } };
    assert.equal((await directory.moves.switch(late, MOVER)).kind, "hold-changed");
    const switched = await directory.moves.switch({ ...cutover, step: { ...SWITCHED, earlierJson: ["4"] } }, MOVER);
    assert.partialDeepStrictEqual(switched, { kind: "switched", position: 5 });
    assert.deepEqual(
      directory.moves.journal("m").map(({ position, entryJson }) => [position, entryJson]),
      [
        [1, "1"],
        [2, "2"],
        [3, "3"],
        [4, "4"],
        [5, SWITCHED.entryJson],
      ],
    );
    assert.equal(directory.moves.find("m")?.state, SWITCHED.state);
  });

  directoryTest("moves are listed by what they are, in pages", async ({ directory }) => {
    const given = [
      newMove("m1", "u"),
      { ...newMove("m2", "v"), from: "third" },
      { ...newMove("m3", "w"), to: "third" },
      newMove("m4", "x"),
    ];
    await directory.moves.create(given, ADMIN);
    await directory.moves.append("m1", { entryJson: "1", state: "failed", isActive: false });
    await directory.moves.append("m3", { entryJson: "1", state: "lock", isActive: true });
    await directory.moves.create([newMove("m5", "u")], ADMIN);
    assert.deepEqual(
      new Map(directory.moves.countActive()),
      new Map([
        ["planned", 3],
        ["lock", 1],
      ]),
    );
    const idsOf = (filter?: Parameters<typeof directory.moves.list>[0]): string[] =>
      directory.moves.list(filter).map(({ id }) => id);
    assert.deepEqual(idsOf(), ["m1", "m2", "m3", "m4", "m5"]);
    assert.deepEqual(idsOf({ isActive: true }), ["m2", "m3", "m4", "m5"]);
    assert.deepEqual(idsOf({ isActive: false }), ["m1"]);
    assert.deepEqual(idsOf({ states: ["lock", "failed"] }), ["m1", "m3"]);
    assert.deepEqual(idsOf({ states: [] }), []);
    assert.deepEqual(idsOf({ states: ["planned"], isActive: true, from: "old" }), ["m4", "m5"]);
    assert.deepEqual(idsOf({ user: "u" }), ["m1", "m5"]);
    assert.deepEqual(idsOf({ to: "third" }), ["m3"]);
    const [, second] = directory.moves.list({ limit: 2 });
    assert.deepEqual(idsOf({ afterNumber: second?.number ?? 0, limit: 2 }), ["m3", "m4"]);
  });

  directoryTest("only the move itself touches a user whose move is active", async ({ directory }) => {
    await directory.users.set("u", "old", ADMIN);
    await directory.moves.create([newMove("m", "u")], ADMIN);
    const refusal = { kind: "move-active", user: "u", moveId: "m" };
    assert.deepEqual(await directory.users.set("u", "new", ADMIN), refusal);
    assert.deepEqual(await directory.users.unset("u", { who: "move:other", why: "" }), refusal);
    assert.deepEqual(await directory.users.set("u", "old", ADMIN), { kind: "unchanged" });
    assert.equal(directory.findBackend("u"), "old");
    assert.equal(directory.history("u").length, 2);
    assert.deepEqual(await directory.users.set("u", "new", MOVER), { kind: "set", from: "old" });
    assert.deepEqual(await directory.users.unset("u", MOVER), { kind: "unset", from: "new" });
    await directory.moves.append("m", { entryJson: "1", state: "done", isActive: false });
    assert.deepEqual(await directory.users.set("u", "old", ADMIN), { kind: "set", from: undefined });
  });

  directoryTest("the switch sets the backend, the history and the journal together", async ({ directory, clock }) => {
    const { hold, nowMs } = await drained(directory, clock.wallMs());
    const cutover = { moveId: "m", backend: "new", generation: hold.generation, nowMs, step: SWITCHED };
    assert.equal(directory.moves.findSwitched("u"), undefined);
    assert.deepEqual(await directory.moves.switch(cutover, MOVER), { kind: "switched", from: "old", position: 2 });
    const switched = { moveId: "m", user: "u", from: "old", to: "new", atMs: clock.wallMs() };
    assert.deepEqual(directory.moves.findSwitched("u"), switched);
    assert.deepEqual(directory.find("u"), { backend: "new", holds: [hold] });
    assert.partialDeepStrictEqual(directory.moves.find("m"), { state: "switched", isActive: true });
    assert.equal(directory.moves.journal("m").at(-1)?.entryJson, SWITCHED.entryJson);
    const [newest] = directory.history("u");
    assert.partialDeepStrictEqual(newest, { what: "switch", from: "old", to: "new", ...MOVER });
    assert.deepEqual([...directory.users.countByBackend()], [["new", 1]]);
  });

  directoryTest("the last switch tells where the mailbox is, whatever was set since", async ({ directory, clock }) => {
    const end = async (id: string, from: string, to: string): Promise<void> => {
      const { generation } = await directory.holds.place(
        { user: "u", owner: `move:${id}`, reason: "", deadlineMs: clock.wallMs() + 9 },
        ADMIN,
      );
      const cutover = { moveId: id, backend: to, generation, nowMs: clock.wallMs(), step: SWITCHED };
      await directory.moves.switch(cutover, { who: `move:${id}`, why: "" });
      await directory.moves.append(id, { entryJson: "1", state: "done", isActive: false });
      assert.partialDeepStrictEqual(directory.moves.findSwitched("u"), { moveId: id, from, to });
    };
    await directory.moves.create([newMove("m1", "u")], ADMIN);
    await directory.moves.append("m1", { entryJson: "1", state: "failed", isActive: false });
    assert.equal(directory.moves.findSwitched("u"), undefined);
    await directory.moves.create([newMove("m2", "u")], ADMIN);
    await end("m2", "old", "new");
    clock.advance(1);
    await directory.moves.create([{ ...newMove("m3", "u"), from: "new", to: "old" }], ADMIN);
    await end("m3", "new", "old");
    clock.advance(1);
    // The one that was planned first is the last that switched.
    await directory.moves.append("m1", { entryJson: "2", state: "planned", isActive: true });
    await end("m1", "old", "new");
    await directory.users.set("u", "old", ADMIN);
    assert.partialDeepStrictEqual(directory.moves.findSwitched("u"), { moveId: "m1", to: "new" });
  });

  directoryTest("a switch may leave no entry, and may find none", async ({ directory, clock }) => {
    const { hold, nowMs } = await drained(directory, clock.wallMs());
    const cutover = { moveId: "m", generation: hold.generation, nowMs, step: SWITCHED };
    const away = await directory.moves.switch({ ...cutover, backend: undefined }, MOVER);
    assert.deepEqual(away, { kind: "switched", from: "old", position: 2 });
    assert.deepEqual(directory.find("u"), { backend: undefined, holds: [hold] });
    const back = await directory.moves.switch({ ...cutover, backend: "new" }, MOVER);
    assert.deepEqual(back, { kind: "switched", from: undefined, position: 3 });
    assert.equal(directory.findBackend("u"), "new");
  });

  directoryTest("no switch without the hold that was drained", async ({ directory, clock }) => {
    const { hold, nowMs } = await drained(directory, clock.wallMs());
    const cutover = { moveId: "m", backend: "new", generation: hold.generation, nowMs, step: SWITCHED };
    const assertRefused = async (why: string, found: Hold | undefined, changed: object = {}): Promise<void> => {
      const before = [directory.find("u"), directory.moves.find("m"), directory.moves.journal("m")];
      const historyLength = directory.history("u").length;
      assert.deepEqual(await directory.moves.switch({ ...cutover, ...changed }, MOVER), {
        kind: "hold-changed",
        why,
        found,
      });
      assert.deepEqual([directory.find("u"), directory.moves.find("m"), directory.moves.journal("m")], before);
      assert.equal(directory.history("u").length, historyLength);
    };
    await assertRefused("expired", hold, { nowMs: hold.deadlineMs });
    const { user, owner, reason, deadlineMs } = hold;
    const extended = await directory.holds.place({ user, owner, reason, deadlineMs: deadlineMs + 1 }, MOVER);
    await assertRefused("replaced", extended);
    await directory.holds.release({ user, owner }, MOVER);
    await assertRefused("gone", undefined);
    // Somebody else's hold is not the one that was drained.
    await directory.holds.place({ user, owner: "admin", reason, deadlineMs }, ADMIN);
    await assertRefused("gone", undefined);
    await directory.moves.append("m", { entryJson: "1", state: "rolled-back", isActive: false });
    await assert.rejects(directory.moves.switch(cutover, MOVER), RangeError);
    assert.equal(directory.findBackend("u"), "old");
  });
}

/** The user `u` of `old`, held by its move `m`, whose journal has one entry. */
async function drained(directory: Directory, nowMs: number): Promise<{ hold: Hold; nowMs: number }> {
  await directory.users.set("u", "old", ADMIN);
  await directory.moves.create([newMove("m", "u")], ADMIN);
  await directory.moves.append("m", { entryJson: '"hold"', state: "hold", isActive: true });
  const wanted = { user: "u", owner: "move:m", reason: "moving", deadlineMs: nowMs + 1_000 };
  return { hold: await directory.holds.place(wanted, MOVER), nowMs };
}
