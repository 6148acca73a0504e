import assert from "node:assert/strict";
import type { Directory } from "../../src/directory/directory.ts";
import { ADMIN, directoryTests, newMove } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";
import type { FakeClock } from "./fake-clock.ts";

const DAY_MS = 86_400_000;

export function testForgetting(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest("changes older than a time are forgotten, and users live where they did", async (opened) => {
    const { directory, clock } = opened;
    const users = Array.from({ length: 3_000 }, (_, number) => ({ user: `u${number}`, backend: "old" }));
    await directory.users.import(users, { author: ADMIN });
    await directory.users.set("u7", "new", ADMIN);
    clock.advance(DAY_MS);
    const betweenMs = clock.wallMs();
    await directory.users.set("u7", "third", { who: "ann", why: "later" });
    await directory.users.set("u8", "new", ADMIN);
    const later = [directory.history("u7")[0], directory.history("u8")[0]];

    assert.deepEqual(await directory.forget(betweenMs - DAY_MS), { changes: 0, moves: 0 });
    assert.deepEqual(await directory.forget(betweenMs), { changes: 3_001, moves: 0 });
    assert.deepEqual([...directory.history("u7"), ...directory.history("u8")], later);
    assert.deepEqual(directory.history("u9"), []);
    assert.deepEqual(directory.find("u7"), { backend: "third", holds: [] });
    assert.deepEqual(
      [...directory.users.countByBackend()],
      [
        ["new", 1],
        ["old", 2_998],
        ["third", 1],
      ],
    );
    assert.deepEqual(await directory.forget(betweenMs), { changes: 0, moves: 0 });
    await directory.users.set("u7", "old", ADMIN);
    assert.deepEqual(
      directory.history("u7").map(({ to }) => to),
      ["old", "third"],
    );
  });

  directoryTest("of moves that have ended long ago only the last switched one of a user stays", async (opened) => {
    const { directory, clock } = opened;
    await endMove(opened, "first", "u", "done");
    await endMove(opened, "second", "u", "done");
    await endMove(opened, "failed", "u", "failed");
    await endMove(opened, "never", "v", "rolled-back");
    await directory.moves.create([newMove("active", "w")], ADMIN);
    await directory.moves.append("active", { entryJson: "1", state: "paused", isActive: true });
    clock.advance(DAY_MS);
    const betweenMs = clock.wallMs();
    await endMove(opened, "recent", "v", "failed");
    const switched = directory.moves.findSwitched("u");
    assert.equal(switched?.moveId, "second");

    assert.deepEqual(await directory.forget(betweenMs), { changes: 15, moves: 3 });
    assert.deepEqual(
      directory.moves.list().map(({ id }) => id),
      ["second", "active", "recent"],
    );
    for (const id of ["first", "failed", "never"]) {
      assert.equal(directory.moves.find(id), undefined);
      assert.deepEqual(directory.moves.journal(id), []);
    }
    assert.equal(directory.moves.journal("second").length, 2);
    assert.equal(directory.moves.journal("active").length, 1);
    assert.deepEqual(directory.moves.findSwitched("u"), switched);
    assert.deepEqual(await directory.forget(betweenMs), { changes: 0, moves: 0 });
  });

  directoryTest("others write while much is forgotten, which ends when it is closed", async (opened) => {
    const { directory, clock, place } = opened;
    const users = Array.from({ length: 60_000 }, (_, number) => ({ user: `u${number}`, backend: "old" }));
    await directory.users.import(users, { author: ADMIN });
    clock.advance(DAY_MS);
    const forgetting = directory.forget(clock.wallMs());
    await assert.rejects(directory.forget(clock.wallMs()), /forgetting is under way/);
    const set = await directory.users.set("u5", "new", ADMIN);
    assert.deepEqual(set, { kind: "set", from: "old" });
    const closed = directory.close();
    await assert.rejects(forgetting, { code: "DIRECTORY_CLOSED" });
    await closed;

    const again = await place.open(clock);
    try {
      const { changes } = await again.forget(clock.wallMs());
      assert.ok(changes > 0 && changes <= 60_000, String(changes));
      for (const user of ["u0", "u30000", "u59999"]) assert.deepEqual(again.history(user), []);
      assert.equal(again.history("u5")[0]?.to, "new");
    } finally {
      await again.close();
    }
  });
}

/** A move of its own for the user, from `old` to `new`, which ends in this state. */
async function endMove(
  { directory, clock }: { readonly directory: Directory; readonly clock: FakeClock },
  id: string,
  user: string,
  state: "done" | "failed" | "rolled-back",
): Promise<void> {
  const mover = { who: `move:${id}`, why: "moving" };
  await directory.moves.create([newMove(id, user)], ADMIN);
  const deadlineMs = clock.wallMs() + 1_000;
  const { generation } = await directory.holds.place({ user, owner: mover.who, reason: "", deadlineMs }, mover);
  if (state === "done") {
    const step = { entryJson: "1", state: "release", isActive: true };
    const cutover = { moveId: id, backend: "new", generation, nowMs: clock.wallMs(), step };
    await directory.moves.switch(cutover, mover);
  }
  await directory.holds.release({ user, owner: mover.who }, mover);
  clock.advance(1);
  await directory.moves.append(id, { entryJson: "2", state, isActive: false });
}
