import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { systemClock } from "../core/clock.ts";
import type { Log, LogEntry } from "../core/log.ts";
import type { StoreOptions } from "./options.ts";
import { openStore } from "./store.ts";

async function setUp(t: TestContext, options: Partial<StoreOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), "store-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const entries: LogEntry[] = [];
  const log: Log = { write: (entry) => void entries.push(entry) };
  const all: StoreOptions = {
    directory,
    key: "localpart",
    recipientDelimiter: "+",
    users: { kind: "any" },
    unknown: "550",
    quotaBytes: undefined,
    overQuota: "552",
    maxRecipients: 100,
    maxMessageBytes: undefined,
    hostname: "h/o:st",
    ...options,
  };
  return { directory, entries, store: () => openStore(all, systemClock, log) };
}

const prefix = Buffer.from("Return-Path: <>\n");

test("a small message and a large one are stored whole, under names that Maildir readers know", async (t) => {
  const { directory, store: make } = await setUp(t);
  const store = await make();
  const maildir = join(directory, "u", "Maildir");
  for (const bytes of [0, 10, 65_536, 65_537, 1_000_003]) {
    const whole = Buffer.alloc(bytes, "0123456789\n");
    const spool = store.newSpool(() => {});
    for (let at = 0; at < bytes; at += 50_000) spool.append(whole.subarray(at, at + 50_000));
    const name = await store.save(maildir, prefix, await spool.finish());
    await spool.discard();
    assert.match(name ?? "", new RegExp(`^\\d+\\.M\\d+P${process.pid}Q\\d+\\.h\\\\057o\\\\072st,S=${bytes + 16}$`));
    const stored = await readFile(join(maildir, "new", name ?? ""));
    assert.ok(stored.equals(Buffer.concat([prefix, whole])));
  }
  assert.equal((await readdir(join(maildir, "new"))).length, 5);
  assert.deepEqual(await readdir(join(maildir, "tmp")), []);
  assert.deepEqual(await readdir(join(maildir, "cur")), []);
  assert.deepEqual(await readdir(join(directory, ".spool")), []);
  assert.equal((await stat(maildir)).mode & 0o777, 0o700);
});

test("the spool says when it is congested and when not any more", async (t) => {
  const { store: make } = await setUp(t);
  const store = await make();
  const drained = Promise.withResolvers<void>();
  const spool = store.newSpool(() => drained.resolve());
  spool.append(Buffer.alloc(300_000));
  assert.equal(spool.isCongested, true);
  await drained.promise;
  assert.equal(spool.isCongested, false);
  await spool.discard();
});

test("a message that cannot be spooled fails with the system's error", async (t) => {
  const { directory, store: make } = await setUp(t);
  const store = await make();
  await rm(join(directory, ".spool"), { recursive: true });
  const spool = store.newSpool(() => {});
  spool.append(Buffer.alloc(100_000));
  await assert.rejects(spool.finish(), { code: "ENOENT" });
  await spool.discard();
});

test("users from a file, which may change", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "users-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "users");
  await writeFile(path, "# staff\nUser1@example.com\r\n\n  user2 \n");
  const { directory, store: make } = await setUp(t, { users: { kind: "file", path } });
  const store = await make();
  const kind = async (address: string) => (await store.findMailbox(address, 0)).kind;
  assert.deepEqual(await store.findMailbox("user1+x@any", 0), {
    kind: "mailbox",
    maildir: join(directory, "user1", "Maildir"),
  });
  assert.equal(await kind("USER2@x"), "mailbox");
  assert.equal(await kind("user3@x"), "unknown");
  assert.equal(await kind('""@x'), "bad-name");
  await writeFile(path, "user3\n");
  assert.equal(await kind("user3@x"), "mailbox");
  assert.equal(await kind("user2@x"), "unknown");
  await rm(path);
  await assert.rejects(store.findMailbox("user3@x", 0), { code: "ENOENT" });
});

test("a missing file of users shows at once", async (t) => {
  const { store: make } = await setUp(t, { users: { kind: "file", path: "/nowhere/users" } });
  await assert.rejects(make(), { code: "ENOENT" });
});

test("a mailbox takes what its quota has room for, to the byte", async (t) => {
  const { directory, store: make } = await setUp(t, { quotaBytes: 100 });
  const store = await make();
  const maildir = join(directory, "u", "Maildir");
  const save = async (bytes: number) => {
    const spool = store.newSpool(() => {});
    spool.append(Buffer.alloc(bytes));
    return store.save(maildir, Buffer.alloc(0), await spool.finish());
  };
  assert.notEqual(await save(60), undefined);
  // A message that a reader has moved, without a size in its name.
  await writeFile(join(maildir, "cur", "1.host:2,S"), Buffer.alloc(30));
  assert.equal(await save(11), undefined);
  assert.equal((await store.findMailbox("u@x", 11)).kind, "full");
  assert.equal((await store.findMailbox("u@x", 10)).kind, "mailbox");
  assert.notEqual(await save(10), undefined);
  assert.equal((await store.findMailbox("u@x", 0)).kind, "full");
  assert.equal((await readdir(join(maildir, "new"))).length, 2);
  assert.deepEqual(await readdir(join(maildir, "tmp")), []);
});

test("copies that come at once share a quota", async (t) => {
  const { directory, store: make } = await setUp(t, { quotaBytes: 100 });
  const store = await make();
  const spool = store.newSpool(() => {});
  spool.append(Buffer.alloc(40));
  const content = await spool.finish();
  const save = () => store.save(join(directory, "u", "Maildir"), Buffer.alloc(0), content);
  const names = await Promise.all([save(), save(), save(), save()]);
  assert.deepEqual(
    names.map((name) => name !== undefined),
    [true, true, false, false],
  );
});

test("what a dead process left is removed, what may live stays", async (t) => {
  const host = hostname();
  const { directory, entries, store: make } = await setUp(t, { hostname: host });
  const tmp = join(directory, "u", "Maildir", "tmp");
  await mkdir(tmp, { recursive: true });
  await mkdir(join(directory, ".spool"));
  await writeFile(join(directory, "note"), "no folder");
  const { pid: deadPid } = spawnSync("true");
  const dead = `1.M1P${deadPid}Q1.${host}`;
  const stays = [`1.M1P1Q1.${host}`, `1.M1P${deadPid}Q2.elsewhere`, "foreign"];
  const goes = [dead, `1.M1P${process.pid}Q1.${host}`, "old-foreign"];
  for (const name of [...stays, ...goes]) await writeFile(join(tmp, name), "half");
  await writeFile(join(directory, ".spool", dead), "half");
  const longAgo = new Date(Date.now() - 37 * 3_600_000);
  await utimes(join(tmp, "old-foreign"), longAgo, longAgo);
  await make();
  assert.deepEqual((await readdir(tmp)).sort(), [...stays].sort());
  assert.deepEqual(await readdir(join(directory, ".spool")), []);
  assert.deepEqual(
    entries.map((entry) => entry.kind === "message" && entry.text),
    [`removed 4 unfinished messages below ${directory}/*/Maildir/tmp`],
  );
});
