import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { promisify } from "node:util";
import { startDirectoryProcess } from "../../../test/support/directory-process.ts";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { until } from "../../../test/support/until.ts";
import type { Change, Directory } from "../directory.ts";
import { openDirectory, openDirectoryReader } from "../open-directory.ts";

const KILLS = 10;

/** Steps that one process may get to before it is killed. */
const MAX_STEPS = 600;

interface MoveTrace {
  readonly history: string;
  readonly backend: string | undefined;
  readonly held: number;
  readonly state: string | undefined;
  readonly isActive: boolean | undefined;
  readonly journal: string;
}

/** What a user's move leaves after each of its steps; `directory-child.ts` has them. */
const AFTER_STEP: readonly MoveTrace[] = [
  { history: "", backend: undefined, held: 0, state: undefined, isActive: undefined, journal: "" },
  { history: "set", backend: "old", held: 0, state: undefined, isActive: undefined, journal: "" },
  { history: "set move", backend: "old", held: 0, state: "planned", isActive: true, journal: "" },
  { history: "set move", backend: "old", held: 0, state: "lock", isActive: true, journal: '"lock"' },
  { history: "set move hold", backend: "old", held: 1, state: "lock", isActive: true, journal: '"lock"' },
  {
    history: "set move hold switch",
    backend: "new",
    held: 1,
    state: "switched",
    isActive: true,
    journal: '"lock" "switched"',
  },
  {
    history: "set move hold switch",
    backend: "new",
    held: 1,
    state: "done",
    isActive: false,
    journal: '"lock" "switched" "done"',
  },
  {
    history: "set move hold switch release",
    backend: "new",
    held: 0,
    state: "done",
    isActive: false,
    journal: '"lock" "switched" "done"',
  },
];

function stateOf(directory: Directory, number: number): MoveTrace {
  const { backend, holds } = directory.find(`u${number}`);
  const move = directory.moves.find(`m${number}`);
  const whats: Change["what"][] = directory.history(`u${number}`).map(({ what }) => what);
  return {
    history: whats.toReversed().join(" "),
    backend,
    held: holds.length,
    state: move?.state,
    isActive: move?.isActive,
    journal: directory.moves
      .journal(`m${number}`)
      .map(({ entryJson }) => entryJson)
      .join(" "),
  };
}

async function assertCounts(directory: Directory): Promise<void> {
  const counts = new Map<string, number>();
  for await (const { backend } of directory.users.all()) counts.set(backend, (counts.get(backend) ?? 0) + 1);
  assert.deepEqual(Object.fromEntries(directory.users.countByBackend()), Object.fromEntries(counts));
}

function assertSound(path: string): void {
  const db = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
  assert.deepEqual(db.prepare("PRAGMA foreign_key_check").all(), []);
  db.close();
}

test("kill -9 in the middle of moves loses nothing that was acknowledged, and leaves nothing half done", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  let first = 0;
  let halfDone = 0;
  for (let round = 1; round <= KILLS; round += 1) {
    const steps = 1 + Math.floor(Math.random() * MAX_STEPS);
    const child = await startDirectoryProcess(t, path, "move", first);
    await until(`${steps} steps`, () => (child.said.length > steps ? true : undefined));
    await child.kill();

    const acknowledged = new Map<string, number>();
    for (const said of child.said.slice(1)) {
      const [user, step] = said as [string, number];
      acknowledged.set(user, step);
    }
    const directory = await openDirectory({ store: { kind: "sqlite", path } });
    try {
      assert.equal(directory.startedUnclean, true);
      // The last of them were begun, and have nothing acknowledged.
      const end = first + acknowledged.size + 20;
      for (let number = first; number < end; number += 1) {
        const state = stateOf(directory, number);
        const least = acknowledged.get(`u${number}`) ?? 0;
        const step = AFTER_STEP.findIndex((after) => JSON.stringify(after) === JSON.stringify(state));
        assert.ok(step >= least, `round ${round}: u${number} was at step ${least}, and is ${JSON.stringify(state)}`);
        if (step > 0 && step < 7) halfDone += 1;
      }
      await assertCounts(directory);
      first = end;
    } finally {
      await directory.close();
    }
    assertSound(path);
  }
  assert.ok(halfDone > 0, "no move was cut off: nothing was proved");
});

test("kill -9 in the middle of an import leaves a part of it, and the next one does the rest", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const options = { store: { kind: "sqlite", path } } as const;
  const child = await startDirectoryProcess(t, path, "import");
  const reader = openDirectoryReader(options);
  const enough = 1 + Math.floor(Math.random() * 50_000);
  const countUsers = (): number =>
    reader.users
      .countByBackend()
      .values()
      .reduce((sum, count) => sum + count, 0);
  await until("a part is imported", () => (countUsers() > enough ? true : undefined));
  await child.kill();
  await reader.close();

  const directory = await openDirectory(options);
  await assertCounts(directory);
  const [entry] = directory.users.list({ limit: 1 });
  assert.equal(directory.history(entry?.user ?? "")[0]?.to, entry?.backend);
  const { length: kept } = await Array.fromAsync(directory.users.all());
  const all = Array.from({ length: 100_000 }, (_, number) => ({
    user: `u${String(number).padStart(9, "0")}`,
    backend: `b${number % 3}`,
  }));
  const { created, changed, unchanged } = await directory.users.import(all, {
    author: { who: "import", why: "again" },
  });
  assert.equal(created + unchanged, all.length);
  assert.equal(changed, 0);
  assert.equal(unchanged, Math.min(kept, all.length));
  await assertCounts(directory);
  await directory.close();
  assertSound(path);
});

test("after an unclean end everyone is uncertain, and a clean start later does not forget it", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const options = { store: { kind: "sqlite", path } } as const;
  const clock = createFakeClock();
  const child = await startDirectoryProcess(t, path, "hold");
  await child.kill();

  const unclean = await openDirectory(options, clock);
  assert.equal(unclean.startedUnclean, true);
  const everyone = {
    kind: "everyone",
    atMs: clock.wallMs(),
    why: "the daemon ended without closing the directory",
  };
  assert.deepEqual(unclean.uncertain.latest("anybody"), everyone);
  await unclean.close();
  clock.advance(1_000);

  const clean = await openDirectory(options, clock);
  assert.equal(clean.startedUnclean, false);
  assert.deepEqual(clean.uncertain.latest("anybody"), everyone);
  await clean.close();
});

test("a process that only waits for the close does not end before it", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "directory.db");
  const program = join(folder, "program.mjs");
  const text = `
    import { openDirectory } from ${JSON.stringify(join(import.meta.dirname, "..", "open-directory.ts"))};
    const directory = await openDirectory({ store: { kind: "sqlite", path: ${JSON.stringify(path)} } });
    const author = { who: "admin", why: "test" };
    for (const user of ["u1", "u2", "u3"]) void directory.users.set(user, "old", author);
    await directory.close();
    console.log("closed");`;
  writeFileSync(program, text);
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  assert.equal(stdout, "closed\n");
  const directory = await openDirectory({ store: { kind: "sqlite", path } });
  assert.equal(directory.startedUnclean, false);
  assert.deepEqual([...directory.users.countByBackend()], [["old", 3]]);
  await directory.close();
});

test("two processes: the second is told who has the directory, and gets it once that one is killed", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const options = { store: { kind: "sqlite", path } } as const;
  const ours = await openDirectory(options);
  // Nor may we lose the lock by trying again: it would go with any descriptor of the file that we close.
  await assert.rejects(openDirectory(options), { code: "DIRECTORY_LOCKED" });
  const refused = await startDirectoryProcess(t, path, "hold");
  assert.partialDeepStrictEqual(refused.said, [{ code: "DIRECTORY_LOCKED" }]);
  assert.match(JSON.stringify(refused.said), new RegExp(`in use by process ${process.pid}:`));
  await refused.kill();
  await ours.close();

  const holder = await startDirectoryProcess(t, path, "hold");
  assert.deepEqual(holder.said, ["open"]);
  const message = new RegExp(`in use by process ${holder.pid}: .*stop that one first`);
  await assert.rejects(openDirectory(options), message);
  await holder.kill();
  const next = await openDirectory(options);
  assert.equal(next.startedUnclean, true);
  await next.close();
});

test("another process reads each commit at its next read, and is in nobody's way when it is killed", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const author = { who: "admin", why: "test" };
  const directory = await openDirectory({ store: { kind: "sqlite", path } });
  t.after(() => directory.close());
  const reader = await startDirectoryProcess(t, path, "read");
  assert.deepEqual(await reader.ask("u"), { holds: [] });
  await directory.users.set("u", "old", author);
  assert.deepEqual(await reader.ask("u"), { backend: "old", holds: [] });
  const hold = await directory.holds.place({ user: "u", owner: "a", reason: "", deadlineMs: 1 }, author);
  assert.deepEqual(await reader.ask("u"), { backend: "old", holds: [hold] });
  await reader.kill();
  await directory.users.set("u", "new", author);
  assert.equal(directory.findBackend("u"), "new");
});
