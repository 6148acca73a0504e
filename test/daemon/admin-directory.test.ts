import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openDirectory } from "../../src/directory/open-directory.ts";
import { runMailshunt, startMailshunt, writeConfig } from "../support/daemon-process.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startAdmin } from "./admin-setting.ts";

function configWith(folder: string, store: string, name = "lmtp"): string {
  return writeConfig(folder, {
    listeners: [`address: "unix:${folder}/${name}"`],
    backends: { old: `lmtp: "unix:${folder}/old"` },
    fallback: "old",
    more: [`directory: { store: "sqlite:${store}" }`, `moves: { folder: "${folder}/moves" }`],
  });
}

test("a second daemon on one directory is refused with 71, and the first goes on", async (t) => {
  const setting = await startAdmin(t);
  const other = scratchFolder(t);
  const config = configWith(other, join(setting.folder, "directory.db"));
  const second = await runMailshunt(t, ["serve", "-c", config]);
  assert.equal(second.code, 71);
  assert.match(
    second.stderr,
    new RegExp(
      `error: the directory ${setting.folder}/directory\\.db is in use by process ${setting.daemon.pid}: there is one daemon for each directory, so stop that one first$`,
      "m",
    ),
  );
  assert.match(await setting.deliver(await setting.connect(), "ada"), /^250.* \| 250/);
  setting.daemon.signal("SIGTERM");
  assert.deepEqual(await setting.daemon.exited, { code: 0, signal: null });
  const next = startMailshunt(t, ["serve", "-c", config]);
  await next.nextLine(/is ready/);
});

const BAD_DIRECTORIES: readonly {
  readonly name: string;
  readonly store: string;
  readonly make?: (path: string) => void | Promise<void>;
  readonly says: RegExp;
}[] = [
  {
    name: "in a folder that there is not",
    store: "none/directory.db",
    says: /error: there is no folder \S+\/none for the directory: create it, and give it to the user of mailshunt$/m,
  },
  {
    name: "that is a folder",
    store: "directory.db",
    make: (path) => mkdirSync(path),
    says: /error: the directory \S+ has to be a file, and is a folder$/m,
  },
  {
    name: "that is no database",
    store: "directory.db",
    make: (path) => writeFileSync(path, "x".repeat(10_000)),
    says: /error: the directory \S+ is no SQLite database: name another file, or restore it from a backup/m,
  },
  {
    name: "of a newer mailshunt",
    store: "directory.db",
    async make(path) {
      await (await openDirectory({ store: { kind: "sqlite", path } })).close();
      const db = new DatabaseSync(path);
      db.exec("PRAGMA user_version = 1000");
      db.close();
    },
    says: /error: the directory \S+ was written by a newer mailshunt .*: install that version again$/m,
  },
];
for (const { name, store, make, says } of BAD_DIRECTORIES)
  test(`a directory ${name}: 71 at the start, and nothing is left behind`, async (t) => {
    const folder = scratchFolder(t);
    await make?.(join(folder, store));
    const { code, stderr } = await runMailshunt(t, ["serve", "-c", configWith(folder, join(folder, store))]);
    assert.equal(code, 71, stderr);
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /a bug|\.ts:\d+/);
    assert.throws(() => readFileSync(join(folder, "lmtp")), { code: "ENOENT" });
  });

test("a damaged directory delays mail and bounces none", async (t) => {
  const setting = await startAdmin(t);
  const { folder, daemon } = setting;
  const path = join(folder, "directory.db");
  const file = join(folder, "users");
  writeFileSync(file, Array.from({ length: 5000 }, (_, at) => `user${at},new\n`).join(""));
  assert.equal((await setting.run("user", "import", file)).code, 0);
  daemon.signal("SIGTERM");
  await daemon.exited;
  // All but the schema: it opens, and cannot tell where anybody lives.
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(0xff, 100_000));
  await setting.restart();
  const lmtp = await connectLmtp({ kind: "unix", path: join(folder, "lmtp") });
  t.after(() => lmtp[Symbol.dispose]());
  await lmtp.lhlo();
  assert.match(
    await setting.deliver(lmtp, "user2500"),
    /^451 4\.3\.0 looking up user2500 failed: directory: .* is damaged/,
  );
  const status = await setting.run("user", "get", "user2500");
  assert.equal(status.code, 75);
  assert.match(status.stderr, /^mailshunt: user2500: the directory \S+ is damaged: stop mailshunt and restore it/);
  assert.deepEqual(setting.stores.old.delivered, []);
});

test("holds and users are there again after a restart, in order", async (t) => {
  const { run, daemon, restart } = await startAdmin(t);
  await run("user", "set", "ada", "--to", "new");
  await run("hold", "ada", "bob", "--reason", "weekend");
  daemon.signal("SIGTERM");
  await daemon.exited;
  const next = await restart();
  assert.equal(next.hasLine(/did not end in order/), false);
  const { stdout } = await run("user", "get", "ada", "bob");
  assert.match(
    stdout,
    /^ada\tnew\n {2}held for .* by admin: weekend\nbob\t\(no entry: tables and fallback count\)\n {2}held for .*\n$/,
  );
});

test("a reload that removes a backend of the directory says how many users it had; their mail waits", async (t) => {
  const setting = await startAdmin(t, { more: ["hold: { park: 0s }"] });
  const { run, daemon, rewrite, folder, deliver } = setting;
  await run("user", "set", "ada", "bob", "--to", "new");
  const lmtp = await setting.connect();
  const listeners = [
    'address: "127.0.0.1:0"',
    `address: "unix:${folder}/lmtp"`,
    `protocol: admin, address: "unix:${folder}/admin"`,
  ];
  rewrite({ listeners, backends: { old: `lmtp: "unix:${folder}/old"` } });
  const reload = await run("reload");
  assert.deepEqual([reload.code, reload.stdout], [0, "reload 1 took effect\n"]);
  await daemon.nextLine(
    /warning: 2 users are in the directory with the backend "new", which there is not: their mail is deferred until it is there or until `mailshunt user set` names another \(who: mailshunt user list --backend new\)$/,
  );
  assert.match(await deliver(lmtp, "ada"), /^451 4\.3\.0 looking up ada failed: there is no backend "new"/);
  assert.match((await run("status")).stdout, /^ {2}new {2}MISSING: 2 users in the directory, mail deferred/m);
  assert.equal((await run("user", "list", "--backend", "new")).stdout, "ada\tnew\nbob\tnew\n");
  assert.equal((await run("user", "set", "ada", "--to", "new")).code, 64);
  assert.equal((await run("user", "set", "ada", "--to", "old")).code, 0);
  assert.match(await deliver(lmtp, "ada"), /^250.* \| 250/);
});

for (const [what, directory] of [
  ["another", (folder: string) => [`directory: { store: "sqlite:${folder}/other.db" }`]],
  ["no", () => []],
] as const)
  test(`a reload with ${what} directory warns; until the restart the old one counts`, async (t) => {
    const { run, daemon, rewrite, folder, connect, deliver, stores } = await startAdmin(t, {
      more: ["hold: { park: 0s }"],
    });
    await run("user", "set", "ada", "--to", "new");
    await run("hold", "bob");
    rewrite({ more: [...directory(folder), "hold: { park: 0s }"] });
    daemon.signal("SIGHUP");
    await daemon.nextLine(/warning: directory has changed: that takes effect with a restart$/);
    await daemon.nextLine(/reload 1 took effect/);
    const lmtp = await connect();
    assert.match(await deliver(lmtp, "ada"), /^250.* \| 250/);
    assert.equal(stores.new.delivered.length, 1);
    assert.match(await deliver(lmtp, "bob"), /^450 4\.2\.1 /);
  });

test("a reload that adds a directory warns, and mail goes on as before", async (t) => {
  const { run, daemon, rewrite, folder, connect, deliver } = await startAdmin(t, { hasDirectory: false });
  const refused = await run("hold", "ada");
  assert.equal(refused.code, 64);
  assert.equal(
    refused.stderr,
    'mailshunt: the configuration has no directory: add `directory: { store: "sqlite:/path" }`\n',
  );
  rewrite({ more: [`directory: { store: "sqlite:${folder}/directory.db" }`] });
  daemon.signal("SIGHUP");
  await daemon.nextLine(/warning: directory has changed: that takes effect with a restart$/);
  await daemon.nextLine(/reload 1 took effect/);
  assert.match(await deliver(await connect(), "ada"), /^250.* \| 250/);
});
