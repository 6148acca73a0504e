/**
 * The one suite that every store of the directory passes. In the store's test file:
 *
 *     testDirectoryContract({
 *       name: "sqlite",
 *       start(t) {
 *         const options = { store: { kind: "sqlite", path: join(scratchFolder(t), "directory.db") } };
 *         return { open: (clock) => openDirectory(options, clock), openReader: () => openDirectoryReader(options) };
 *       },
 *     });
 *
 * What a crash leaves behind is for the store's own tests.
 */
import assert from "node:assert/strict";
import type { DirectoryReader } from "../../src/directory/directory.ts";
import { testBackends } from "./directory-contract-backends.ts";
import { testForgetting } from "./directory-contract-forget.ts";
import { testHolds } from "./directory-contract-holds.ts";
import { testImports } from "./directory-contract-imports.ts";
import { testMoves } from "./directory-contract-moves.ts";
import { ADMIN, directoryTests, newMove } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";
import { testUncertain } from "./directory-contract-uncertain.ts";
import { testUsers } from "./directory-contract-users.ts";

export type { DirectoryContract, DirectoryPlace } from "./directory-contract-parts.ts";

export function testDirectoryContract(contract: DirectoryContract): void {
  testUsers(contract);
  testHolds(contract);
  testUncertain(contract);
  testMoves(contract);
  testImports(contract);
  testBackends(contract);
  testForgetting(contract);

  const directoryTest = directoryTests(contract);

  directoryTest("all of it is there again after it was closed", async ({ directory, clock, place }) => {
    assert.equal(directory.startedUnclean, false);
    await directory.users.set("u", "old", ADMIN);
    const hold = await directory.holds.place({ user: "u", owner: "a", reason: "r", deadlineMs: 7 }, ADMIN);
    await directory.uncertain.add({ user: "u", backend: "old", session: "s", atMs: 5 });
    await directory.moves.create([newMove("m", "u")], ADMIN);
    await directory.moves.append("m", { entryJson: "1", state: "lock", isActive: true });
    await directory.backends.setDisabled("new", true, ADMIN);
    const before = readAll(directory);
    await directory.close();

    const again = await place.open(clock);
    try {
      assert.equal(again.startedUnclean, false);
      assert.deepEqual(readAll(again), before);
      const later = await again.holds.place({ user: "u", owner: "a", reason: "r", deadlineMs: 7 }, ADMIN);
      assert.ok(later.generation > hold.generation);
    } finally {
      await again.close();
    }
  });

  directoryTest("only one has it, until it is closed", async ({ directory, clock, place }) => {
    await assert.rejects(place.open(clock), { name: "DirectoryFailed", code: "DIRECTORY_LOCKED" });
    // The one that was refused took nothing with it.
    await assert.rejects(place.open(clock), { code: "DIRECTORY_LOCKED" });
    await directory.users.set("u", "old", ADMIN);
    await directory.close();
    const next = await place.open(clock);
    assert.equal(next.findBackend("u"), "old");
    await next.close();
  });

  directoryTest("a reader sees each commit at its next read", async ({ directory, place }) => {
    const reader = place.openReader();
    try {
      assert.deepEqual(reader.find("u"), { backend: undefined, holds: [] });
      for (const backend of ["old", "new", "old"]) {
        await directory.users.set("u", backend, ADMIN);
        assert.equal(reader.findBackend("u"), backend);
      }
      const hold = await directory.holds.place({ user: "u", owner: "a", reason: "r", deadlineMs: 7 }, ADMIN);
      assert.deepEqual(reader.find("u"), { backend: "old", holds: [hold] });
      assert.deepEqual(readAll(reader), readAll(directory));
    } finally {
      await reader.close();
    }
  });

  directoryTest(
    "writes happen in the order of their calls, and one that fails takes no other with it",
    async (opened) => {
      const { directory } = opened;
      const writes = [
        directory.users.set("u", "one", ADMIN),
        directory.moves.append("none", { entryJson: "1", state: "lock", isActive: true }),
        directory.users.set("u", "two", ADMIN),
        directory.users.set("", "two", ADMIN),
        directory.users.set("u", "three", ADMIN),
      ];
      const outcomes = await Promise.allSettled(writes);
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value : String(outcome.reason))),
        [
          { kind: "set", from: undefined },
          "RangeError: there is no move none",
          { kind: "set", from: "one" },
          'TypeError: user "" is empty',
          { kind: "set", from: "two" },
        ],
      );
      assert.equal(directory.findBackend("u"), "three");
    },
  );

  directoryTest("what was asked for before it is closed is done, what comes later is refused", async (opened) => {
    const { directory, clock, place } = opened;
    const asked = ["u1", "u2", "u3"].map((user) => directory.users.set(user, "old", ADMIN));
    const closed = directory.close();
    await assert.rejects(directory.users.set("u4", "old", ADMIN), { code: "DIRECTORY_CLOSED" });
    await closed;
    for (const outcome of await Promise.all(asked)) assert.equal(outcome.kind, "set");
    assert.throws(() => directory.find("u1"), { name: "DirectoryFailed", code: "DIRECTORY_CLOSED" });
    assert.throws(() => directory.users.list(), { code: "DIRECTORY_CLOSED" });
    await directory.close();

    const again = await place.open(clock);
    assert.deepEqual([...again.users.countByBackend()], [["old", 3]]);
    await again.close();
  });
}

function readAll(reader: DirectoryReader): unknown {
  return {
    users: reader.users.list(),
    counts: [...reader.users.countByBackend()],
    placement: reader.find("u"),
    holds: reader.holds.list(),
    uncertain: reader.uncertain.latest("u"),
    moves: reader.moves.list(),
    active: reader.moves.findActive("u"),
    switched: reader.moves.findSwitched("u"),
    moveCounts: [...reader.moves.countActive()],
    disabled: reader.backends.disabled(),
    journal: reader.moves.journal("m"),
    history: reader.history("u"),
  };
}
