import assert from "node:assert/strict";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { openDirectory, openDirectoryReader } from "../open-directory.ts";

const at = (path: string) => ({ store: { kind: "sqlite", path } }) as const;
const AUTHOR = { who: "admin", why: "test" };

function otherDatabase(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

const faults: readonly (readonly [what: string, prepare: (path: string) => string, code: string, message: RegExp])[] = [
  [
    "a folder that is not there",
    (path) => join(path, "directory.db"),
    "DIRECTORY_MISSING",
    /^there is no folder .*directory\.db for the directory: create it, and give it to the user of mailshunt$/,
  ],
  [
    "a folder in its place",
    (path) => (mkdirSync(path), path),
    "DIRECTORY_NO_ACCESS",
    /has to be a file, and is a folder$/,
  ],
  [
    "a file that is no database",
    (path) => (writeFileSync(path, "users:\n".repeat(1_000)), path),
    "DIRECTORY_CORRUPT",
    /is no SQLite database: name another file, or restore it from a backup/,
  ],
  [
    "the database of another program",
    (path) => (otherDatabase(path, "CREATE TABLE addresses (id)"), path),
    "DIRECTORY_CORRUPT",
    /is the database of another program: name another file$/,
  ],
  [
    "a directory of a newer version",
    (path) => (otherDatabase(path, "PRAGMA application_id = 0x6d736874; PRAGMA user_version = 99"), path),
    "DIRECTORY_NEWER",
    /written by a newer mailshunt \(its format is 99, this one knows 2\): install that version again$/,
  ],
];
for (const [what, prepare, code, message] of faults)
  test(`${what} is refused, and the lock is let go`, async (t) => {
    const path = prepare(join(scratchFolder(t), "directory.db"));
    await assert.rejects(openDirectory(at(path)), { name: "DirectoryFailed", code, message });
    await assert.rejects(openDirectory(at(path)), { code });
    assert.throws(() => openDirectoryReader(at(path)), { name: "DirectoryFailed" });
  });

test("a reader says what to do where there is no directory yet", (t) => {
  const path = join(scratchFolder(t), "directory.db");
  assert.throws(() => openDirectoryReader(at(path)), { code: "DIRECTORY_NO_ACCESS" });
  writeFileSync(path, "");
  const message = /is not ready: start mailshunt, which puts it in order$/;
  assert.throws(() => openDirectoryReader(at(path)), { code: "DIRECTORY_MISSING", message });
});

test("a directory of the first version is brought to this one, and a reader says that it has to be", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const made = await openDirectory(at(path));
  await made.users.set("u", "new", AUTHOR);
  for (const [id, user, state] of [
    ["m1", "u", "failed"],
    ["m2", "u", "done"],
    ["m3", "v", "unlock"],
  ] as const) {
    await made.moves.create([{ id, user, from: "old", to: "new", optionsJson: "{}", state: "planned" }], AUTHOR);
    await made.moves.append(id, { entryJson: "1", state, isActive: state === "unlock" });
  }
  await made.close();
  otherDatabase(
    path,
    `DROP TABLE disabled_backends; DROP INDEX moves_switched; DROP INDEX moves_ended;
     ALTER TABLE moves DROP COLUMN switched_ms; PRAGMA user_version = 1`,
  );

  const older = /was written by an older mailshunt: start mailshunt, which puts it in order$/;
  assert.throws(() => openDirectoryReader(at(path)), { code: "DIRECTORY_MISSING", message: older });
  const directory = await openDirectory(at(path));
  t.after(() => directory.close());
  assert.equal(directory.startedUnclean, false);
  assert.equal(directory.findBackend("u"), "new");
  assert.partialDeepStrictEqual(directory.moves.findSwitched("u"), { moveId: "m2", from: "old", to: "new" });
  assert.partialDeepStrictEqual(directory.moves.findSwitched("v"), { moveId: "m3" });
  assert.equal(await directory.backends.setDisabled("old", true, AUTHOR), true);
  const reader = openDirectoryReader(at(path));
  assert.equal(reader.backends.disabled().length, 1);
  await reader.close();
});

test("all its files are their owner's alone, and few stay", async (t) => {
  const folder = scratchFolder(t);
  const directory = await openDirectory(at(join(folder, "directory.db")));
  await directory.users.set("u", "old", AUTHOR);
  const modes = Object.fromEntries(
    readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );
  assert.deepEqual(modes, {
    "directory.db": "600",
    "directory.db-shm": "600",
    "directory.db-wal": "600",
    "directory.db.lock": "600",
    "directory.db.pid": "600",
  });
  await directory.close();
  assert.deepEqual(readdirSync(folder).toSorted(), ["directory.db", "directory.db.lock"]);
});

test("a damaged directory fails, and never says that a user is not there", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const directory = await openDirectory(at(path));
  const users = Array.from({ length: 20_000 }, (_, number) => ({ user: `user${number}`, backend: "old" }));
  await directory.users.import(users, { author: AUTHOR });
  await directory.close();
  const db = new DatabaseSync(path);
  const root = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'users'").get();
  db.close();
  damagePage(path, Number(root?.["rootpage"]));

  const damaged = await openDirectory(at(path));
  t.after(() => damaged.close());
  const fault = {
    name: "DirectoryFailed",
    code: "DIRECTORY_CORRUPT",
    message: /is damaged: .* restore it from a backup/,
  };
  assert.throws(() => damaged.find("user7"), fault);
  assert.throws(() => damaged.users.list(), fault);
  await assert.rejects(damaged.users.set("user7", "new", AUTHOR), fault);
});

function damagePage(path: string, page: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(4096, 0xa5), 0, 4096, (page - 1) * 4096);
  closeSync(file);
}

test("writes that come together share a commit", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const directory = await openDirectory(at(path));
  t.after(() => directory.close());
  await directory.users.set("first", "old", AUTHOR);
  const before = countCommits(path);
  const users = Array.from({ length: 300 }, (_, number) => `u${number}`);
  await Promise.all(users.map((user) => directory.users.set(user, "old", AUTHOR)));
  const commits = countCommits(path) - before;
  assert.ok(commits >= 1 && commits <= 5, `${commits} commits`);
  await directory.users.set("u0", "old", AUTHOR);
  assert.equal(countCommits(path) - before, commits, "what changes nothing costs none");
});

/** Frames of the log that end a commit: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. */
function countCommits(path: string): number {
  const log = readFileSync(`${path}-wal`);
  let commits = 0;
  for (let at = 32; at + 24 <= log.length; at += 24 + 4096) if (log.readUInt32BE(at + 4) !== 0) commits += 1;
  return commits;
}

for (const what of ["", "-wal", ".lock"])
  test(`what was written to a directory.db${what} that is gone would be lost, so nothing is`, async (t) => {
    const path = join(scratchFolder(t), "directory.db");
    const directory = await openDirectory(at(path));
    await directory.users.set("ann", "new", AUTHOR);
    const removed = `${path}${what}`;
    renameSync(removed, `${removed}.away`);
    await assert.rejects(directory.users.set("bob", "new", AUTHOR), {
      code: "DIRECTORY_MISSING",
      message: /put it back/,
    });
    assert.equal(directory.findBackend("ann"), "new");
    writeFileSync(removed, "");
    await assert.rejects(directory.users.set("bob", "new", AUTHOR), { code: "DIRECTORY_MISSING" });
    renameSync(`${removed}.away`, removed);
    await directory.users.set("bob", "new", AUTHOR);
    await directory.close();
  });

test("whose lock was removed writes nothing beside the daemon that took its place", async (t) => {
  const path = join(scratchFolder(t), "directory.db");
  const first = await openDirectory(at(path));
  await first.users.set("ann", "old", AUTHOR);
  rmSync(`${path}.lock`);
  const second = await openDirectory(at(path));
  await assert.rejects(first.users.set("ann", "new", AUTHOR), { code: "DIRECTORY_MISSING" });
  await second.users.set("ann", "newer", AUTHOR);
  assert.equal(first.findBackend("ann"), "newer");
  await second.close();
  await first.close();
});
