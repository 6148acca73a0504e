import assert from "node:assert/strict";
import type { ImportReport, UserEntry } from "../../src/directory/directory.ts";
import { ADMIN, directoryTests, newMove } from "./directory-contract-parts.ts";
import type { DirectoryContract } from "./directory-contract-parts.ts";

const NOTHING: ImportReport = {
  read: 0,
  created: 0,
  changed: 0,
  unchanged: 0,
  repeated: 0,
  refused: 0,
  refusals: [],
  contradicted: 0,
  contradictions: [],
  invalid: 0,
  faults: [],
};

const IMPORT = { author: { who: "import", why: "users.csv" } };

/** Not in the order of their keys. */
const manyUsers = (count: number, backend = "old"): UserEntry[] =>
  Array.from({ length: count }, (_, number) => ({ user: `u${(number * 7919) % count}`, backend }));

export function testImports(contract: DirectoryContract): void {
  const directoryTest = directoryTests(contract);

  directoryTest("an import creates and changes, and counts what it did", async ({ directory }) => {
    await directory.users.set("same", "old", ADMIN);
    await directory.users.set("other", "new", ADMIN);
    await directory.users.set("moving", "old", ADMIN);
    await directory.moves.create([newMove("m", "moving")], ADMIN);
    const entries = [
      { user: "same", backend: "old" },
      { user: "other", backend: "old" },
      { user: "fresh", backend: "new" },
      { user: "moving", backend: "new" },
      { user: "fresh", backend: "old" },
      { user: "", backend: "old" },
      { user: "bad\0", backend: "old" },
      { user: "nowhere", backend: "" },
    ];
    const wanted: ImportReport = {
      read: 8,
      created: 1,
      changed: 1,
      unchanged: 1,
      repeated: 1,
      refused: 1,
      refusals: [{ user: "moving", moveId: "m" }],
      contradicted: 0,
      contradictions: [],
      invalid: 3,
      faults: [
        { entry: 6, fault: 'the user "" is empty' },
        { entry: 7, fault: 'the user "bad\\u0000" contains a NUL character' },
        { entry: 8, fault: 'the backend "" is empty' },
      ],
    };
    const before = directory.users.list();
    const dryRun = await directory.users.import(entries, { ...IMPORT, dryRun: true });
    assert.deepEqual(dryRun, wanted);
    assert.deepEqual(directory.users.list(), before);
    assert.deepEqual(directory.history("fresh"), []);

    assert.deepEqual(await directory.users.import(entries, IMPORT), wanted);
    assert.deepEqual(directory.users.list(), [
      { user: "fresh", backend: "old" },
      { user: "moving", backend: "old" },
      { user: "other", backend: "old" },
      { user: "same", backend: "old" },
    ]);
    assert.deepEqual([...directory.users.countByBackend()], [["old", 4]]);
    const [change] = directory.history("other");
    assert.partialDeepStrictEqual(change, { who: "import", why: "users.csv", what: "import", from: "new", to: "old" });
    assert.equal(directory.history("same").length, 1);

    const again = await directory.users.import(entries, IMPORT);
    assert.deepEqual(again, { ...wanted, created: 0, changed: 0, unchanged: 3 });
    assert.equal(directory.history("other").length, 2);
  });

  directoryTest("an import that respects moves leaves alone whose mailbox is elsewhere", async (opened) => {
    const { directory, clock } = opened;
    await directory.users.set("moved", "old", ADMIN);
    await directory.users.set("other", "new", ADMIN);
    await directory.moves.create([newMove("m", "moved")], ADMIN);
    const hold = { user: "moved", owner: "move:m", reason: "", deadlineMs: clock.wallMs() + 9 };
    const { generation } = await directory.holds.place(hold, ADMIN);
    const mover = { who: "move:m", why: "" };
    const step = { entryJson: "1", state: "done", isActive: false };
    await directory.moves.switch({ moveId: "m", backend: "new", generation, nowMs: clock.wallMs(), step }, mover);
    const entries = ["moved", "other"].map((user) => ({ user, backend: "old" }));
    const wanted = {
      ...NOTHING,
      read: 2,
      changed: 1,
      contradicted: 1,
      contradictions: [{ user: "moved", backend: "old", movedTo: "new", moveId: "m" }],
    };
    const respectful = { ...IMPORT, respectMovesTo: ["old", "new"] };
    assert.deepEqual(await directory.users.import(entries, { ...respectful, dryRun: true }), wanted);
    assert.deepEqual(await directory.users.import(entries, respectful), wanted);
    assert.equal(directory.findBackend("moved"), "new");
    const over = await directory.users.import(entries, { ...IMPORT, respectMovesTo: ["old"] });
    assert.deepEqual(over, { ...NOTHING, read: 2, changed: 1, unchanged: 1 });
    assert.equal(directory.findBackend("moved"), "old");
    // Where the mailbox is, the user may always be.
    const back = await directory.users.import([{ user: "moved", backend: "new" }], respectful);
    assert.deepEqual(back, { ...NOTHING, read: 1, changed: 1 });
  });

  directoryTest(
    "entries come in any order, and the last one of each user counts, however far apart",
    async (opened) => {
      const { directory } = opened;
      const users = [...manyUsers(50_000, "old"), ...manyUsers(50_000, "new"), ...manyUsers(10_000, "third")];
      const backends = new Map(users.map(({ user, backend }) => [user, backend]));
      for (const dryRun of [true, false]) {
        const report = await directory.users.import(users, { ...IMPORT, dryRun });
        assert.equal(report.read, users.length);
        assert.equal(report.created + report.changed + report.repeated, users.length);
        assert.equal(directory.users.countByBackend().size, dryRun ? 0 : 2);
      }
      for await (const { user, backend } of directory.users.all()) {
        assert.equal(backend, backends.get(user));
        backends.delete(user);
      }
      assert.equal(backends.size, 0);
      assert.deepEqual(await directory.users.import(users, IMPORT).then(({ unchanged }) => unchanged > 0), true);
    },
  );

  directoryTest("an import of nothing does nothing", async ({ directory }) => {
    assert.deepEqual(await directory.users.import([], IMPORT), NOTHING);
  });

  directoryTest(
    "an import takes any number from a source that answers later, and tells how far it is",
    async (opened) => {
      const { directory, clock } = opened;
      const users = manyUsers(30_000);
      const heard: ImportReport[] = [];
      async function* source(): AsyncGenerator<UserEntry> {
        for (const [number, entry] of users.entries()) {
          if (number % 1_000 === 0) await new Promise(setImmediate);
          yield entry;
        }
      }
      const ticking = setInterval(() => clock.advance(1_000), 1);
      const report = await directory.users
        .import(source(), { ...IMPORT, onProgress: (soFar) => heard.push(soFar) })
        .finally(() => clearInterval(ticking));
      assert.deepEqual(report, { ...NOTHING, read: 30_000, created: 30_000 });
      assert.deepEqual([...directory.users.countByBackend()], [["old", 30_000]]);
      assert.ok(heard.length > 0 && heard.every(({ read, created }) => created > 0 && created <= read));
      assert.equal((await Array.fromAsync(directory.users.all())).length, 30_000);
    },
  );

  directoryTest(
    "what was committed stays when the source breaks, and the next run goes on from there",
    async (opened) => {
      const { directory } = opened;
      const users = manyUsers(40_000);
      function* broken(): Generator<UserEntry> {
        yield* users.slice(0, 30_000);
        throw new Error("line 30001 is no line");
      }
      await assert.rejects(directory.users.import(broken(), IMPORT), /line 30001/);
      const [kept = 0] = directory.users.countByBackend().values();
      assert.ok(kept > 0 && kept < 30_000, `${kept}`);
      const report = await directory.users.import(users, IMPORT);
      assert.deepEqual(report, { ...NOTHING, read: 40_000, created: 40_000 - kept, unchanged: kept });
    },
  );

  directoryTest("an import ends when it is told to, and when the directory is closed", async ({ directory }) => {
    const stop = new AbortController();
    const neverAnswers: AsyncIterable<UserEntry> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
    };
    const stopped = directory.users.import(neverAnswers, { ...IMPORT, signal: stop.signal });
    await assert.rejects(directory.users.import([], IMPORT), /under way/);
    stop.abort(new Error("enough"));
    await assert.rejects(stopped, /enough/);
    assert.deepEqual(await directory.users.import([], IMPORT), NOTHING);
    await assert.rejects(directory.users.import([], { ...IMPORT, signal: stop.signal }), /enough/);

    const cut = assert.rejects(directory.users.import(neverAnswers, IMPORT), { code: "DIRECTORY_CLOSED" });
    await directory.close();
    await cut;
  });

  directoryTest("other writes have their turn while an import runs", async ({ directory }) => {
    const order: string[] = [];
    const wanted = { user: "u", owner: "a", reason: "", deadlineMs: 1 };
    // Longer than any number of holds takes, and ended by them.
    const enough = new AbortController();
    function* endless(): Generator<UserEntry> {
      for (let number = 0; ; number += 1) yield { user: `u${number}`, backend: "old" };
    }
    const imported = directory.users
      .import(endless(), { ...IMPORT, signal: enough.signal })
      .catch(() => order.push("import"));
    while (directory.users.countByBackend().size === 0) await new Promise(setImmediate);
    for (const name of ["first", "second", "third"]) {
      const hold = await directory.holds.place(wanted, ADMIN);
      assert.deepEqual(directory.findHolds("u"), [hold]);
      order.push(name);
    }
    enough.abort();
    await imported;
    assert.deepEqual(order, ["first", "second", "third", "import"]);
  });
}
