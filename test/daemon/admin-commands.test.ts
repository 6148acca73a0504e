import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { addressesIn, runMailshunt } from "../support/daemon-process.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { query, route, runCommand, startAdmin } from "./admin-setting.ts";

test("route asks the running daemon, and says so; -c asks the file and the directory beside the daemon", async (t) => {
  const { run, folder, admin } = await startAdmin(t, { users: { u: "new" } });
  await run("user", "set", "ada", "--to", "new");
  await run("hold", "bob", "--reason", "copy");
  const config = join(folder, "mailshunt.yaml");
  const said = `mailshunt: asking the daemon at ${admin}\n`;
  const cases = [
    { address: "u@x", code: 0, decision: /decision {2}deliver to new at unix:.*\n {2}because {3}table users, key u\n/ },
    {
      address: "Ada+x@x",
      code: 0,
      decision: /decision {2}deliver to new at unix:.*\n {2}because {3}the directory's entry\n/,
    },
    { address: "bob@x", code: 75, decision: /decision {2}hold: 450 4\.2\.1.*\n {2}because {3}a hold of admin: copy\n/ },
    { address: "x@x", code: 0, decision: /decision {2}deliver to old/ },
  ];
  for (const { address, code, decision } of cases) {
    const addresses = [address];
    const ofDaemon = await route({ admin, isJson: false, addresses });
    assert.deepEqual([ofDaemon.code, ofDaemon.stderr], [code, said]);
    assert.match(ofDaemon.stdout, decision);
    const ofFile = await route({ config, isJson: false, addresses });
    assert.deepEqual(ofFile, { code, stderr: "", stdout: ofDaemon.stdout });
  }
  const addresses = ["u@x", "bob@x"];
  const json = await route({ admin, isJson: true, addresses });
  assert.equal(json.stdout, (await route({ config, isJson: true, addresses })).stdout);
  assert.match(json.stdout, /^\{"address":"u@x","user_key":"u","decision":"deliver","backend":"new","lmtp":/);
  assert.deepEqual(await route({ config, admin, isJson: false, addresses }), {
    code: 64,
    stdout: "",
    stderr: "mailshunt: give --config to ask a file or --admin to ask a daemon, not both\n",
  });
});

test("query asks the tables of the running daemon with the exit codes of postmap", async (t) => {
  const { admin, rewrite, folder, daemon } = await startAdmin(t, { users: { u: "new" } });
  const ask = { admin, isJson: false, table: "users", keys: ["u"] };
  const stderr = `mailshunt: asking the daemon at ${admin}\n`;
  assert.deepEqual(await query(ask), { code: 0, stdout: "new\n", stderr });
  assert.deepEqual(await query({ ...ask, isJson: true, keys: ["u", "x"] }), {
    code: 1,
    stdout: '{"key":"u","answer":"found","value":"new"}\n{"key":"x","answer":"absent"}\n',
    stderr,
  });
  assert.deepEqual(await query({ ...ask, table: "user" }), {
    code: 64,
    stdout: "",
    stderr: `${stderr}mailshunt: there is no table "user": known are users; did you mean "users"?\n`,
  });
  // The file says otherwise already, the daemon does not.
  rewrite({ users: { u: "old" } });
  assert.equal((await query(ask)).stdout, "new\n");
  const { admin: _admin, ...ofFile } = ask;
  assert.equal((await query({ ...ofFile, config: join(folder, "mailshunt.yaml") })).stdout, "old\n");
  daemon.signal("SIGTERM");
  await daemon.exited;
  const gone = await query(ask);
  assert.deepEqual([gone.code, gone.stdout], [69, ""]);
  assert.match(
    gone.stderr,
    /^mailshunt: unix:\S+: there is no such socket: does the daemon run, with an `admin` listener there\?\n$/,
  );
});

const isInstalled = existsSync("/run/mailshunt/admin") || existsSync("/etc/mailshunt/mailshunt.yaml");
const skip = isInstalled && "a mailshunt is installed on this machine";
test(
  "without a daemon at the default address route and query ask the default file, and say so",
  { skip },
  async (t) => {
    for (const words of [
      ["route", "u@x"],
      ["query", "users", "u"],
    ]) {
      const { code, stderr } = await runMailshunt(t, words);
      assert.match(
        stderr,
        /^mailshunt: no daemon to ask: unix:\/run\/mailshunt\/admin: .*\nmailshunt: asking \/etc\/mailshunt\/mailshunt\.yaml instead\n/,
      );
      assert.equal(code, 78);
    }
  },
);

test("a disabled backend answers its users with 451 until it is enabled, over restarts too", async (t) => {
  const { run, connect, deliver, daemon, restart, folder } = await startAdmin(t);
  await run("user", "set", "ada", "bob", "--to", "old");
  const out = await run("backend", "disable", "old", "--why", "disk");
  assert.deepEqual([out.code, out.stderr], [0, ""]);
  assert.match(
    out.stdout,
    /^ {2}old {2}DISABLED {2}\d busy, \d idle {2}unix:\S+\n {6}disabled since \S+ by admin: disk\n {2}new {2}up {8}/,
  );
  const lmtp = await connect();
  assert.match(
    await deliver(lmtp, "ada"),
    /^451 4\.\d\.\d backend old is unavailable: an operator has taken it out of service/,
  );
  assert.equal((await run("backend", "enable", "old")).code, 0);
  assert.match(await deliver(lmtp, "ada"), /^250.* \| 250/);
  const none = await run("backend", "disable", "older");
  assert.deepEqual(
    [none.code, none.stderr],
    [64, 'mailshunt: there is no backend "older": known are old, new; did you mean "old"?\n'],
  );
  await run("backend", "disable", "old");
  daemon.signal("SIGTERM");
  await daemon.exited;
  const again = await restart();
  assert.match(
    again.output(),
    /warning: backend "old" is disabled since \S+ by admin: its users hear 4xx until `mailshunt/,
  );
  assert.match(again.output(), / is ready: 2 users in the directory, 2 backends, /);
  const later = await connectLmtp({ kind: "unix", path: join(folder, "lmtp") });
  t.after(() => later[Symbol.dispose]());
  await later.lhlo();
  assert.match(await deliver(later, "ada"), /^451 4\.\d\.\d backend old is unavailable/);
  assert.equal((await run("backend", "enable", "old")).code, 0);
  assert.match(await deliver(later, "ada"), /^250.* \| 250/);
});

test("without a directory a disabled backend is so until the end of the daemon, and that is said", async (t) => {
  const { run } = await startAdmin(t, { hasDirectory: false });
  const { code, stderr } = await run("backend", "disable", "old");
  assert.deepEqual(
    [code, stderr],
    [0, "mailshunt: there is no directory that keeps this: it lasts until the daemon restarts\n"],
  );
});

test("an address of the admin listener that is none is a fault of the command line", async () => {
  const refused = await runCommand("status", "--admin", "/run/x");
  assert.equal(refused.code, 64);
  assert.match(refused.stderr, /^mailshunt: --admin: expected .*, got "\/run\/x"; did you mean "unix:\/run\/x"\?\n$/);
});

test("reload ends with 0 or 78 and says why; flush with 0", async (t) => {
  const { run, client, daemon, folder } = await startAdmin(t);
  const path = join(folder, "mailshunt.yaml");
  assert.deepEqual((({ code, stdout }) => [code, stdout])(await run("reload")), [0, "reload 1 took effect\n"]);
  const good = readFileSync(path, "utf8");
  writeFileSync(path, good.replace("version: 1", "version: 1\ncolour: red"));
  const failed = await run("reload");
  assert.equal(failed.code, 78);
  assert.match(
    failed.stderr,
    /mailshunt\.yaml:2:1: .*colour.*\nmailshunt: reload 2 failed: what was in effect stays\n$/,
  );
  assert.match((await run("status")).stdout, /^ {2}NOT IN EFFECT: reload 2 failed.*\n.*mailshunt\.yaml:2:1: .*colour/m);
  writeFileSync(path, good);
  // Side by side they come one after the other: what was read first must not take effect last.
  const asked = Array.from({ length: 8 }, () =>
    client.ask<{ number: number; reasons: string[] }>("POST", "/v1/reload"),
  );
  const outcomes = await Promise.all(asked);
  assert.ok(outcomes.every(({ reasons }) => reasons.length === 0));
  for (let number = 3; number <= 10; number += 1) await daemon.nextLine(new RegExp(`: reload ${number} took effect`));
  assert.deepEqual((({ code, stdout }) => [code, stdout])(await run("flush")), [
    0,
    "the caches of all tables are empty\n",
  ]);
  assert.doesNotMatch((await run("status")).stdout, /NOT IN EFFECT/);
});

test("import and export of a file; lines that are wrong are told with their number, and 65", async (t) => {
  const { run, folder } = await startAdmin(t);
  const file = join(folder, "users.csv");
  writeFileSync(file, "user,backend\r\nAda@x.example,old\r\nbob,newer\r\n\r\nx\r\ncid new\r\n");
  const dry = await run("user", "import", "--dry-run", file);
  assert.deepEqual([dry.code, dry.stdout], [65, "would be: 2 new, 0 changed, 0 as they were, 2 left out\n"]);
  assert.equal(
    dry.stderr,
    `mailshunt: ${file}:3: there is no backend "newer"\nmailshunt: ${file}:5: expected \`user,backend\`\n`,
  );
  assert.equal((await run("user", "list")).stdout, "");
  const done = await run("user", "import", file);
  assert.deepEqual([done.code, done.stdout], [65, "2 new, 0 changed, 0 as they were, 2 left out\n"]);
  const exported = await run("user", "export");
  assert.equal(exported.stdout, "ada,old\ncid,new\n");
  const map = await run("user", "export", "--format", "perdition");
  assert.deepEqual(map, {
    code: 0,
    stdout: "",
    stderr:
      'mailshunt: left out: 1 user of backend "old", which has no "imap" in the configuration\n' +
      'mailshunt: left out: 1 user of backend "new", which has no "imap" in the configuration\n',
  });
  assert.equal((await run("user", "export", "--service", "imap")).code, 64);
  writeFileSync(file, exported.stdout);
  const again = await run("user", "import", file);
  assert.deepEqual([again.code, again.stdout, again.stderr], [0, "0 new, 0 changed, 2 as they were\n", ""]);
  assert.equal((await run("user", "list", "--json", "--backend", "new")).stdout, '{"user":"cid","backend":"new"}\n');
  const none = await run("user", "import", join(folder, "nothing"));
  assert.equal(none.code, 66);
  assert.match(none.stderr, /^mailshunt: cannot read \S+\/nothing: ENOENT/);
  const inFolder = await run("user", "import", folder);
  assert.deepEqual([inFolder.code, inFolder.stderr], [66, `mailshunt: cannot read ${folder}: it is a folder\n`]);
  const mistyped = await run("user", "list", "--backend", "nwe");
  assert.deepEqual(mistyped, {
    code: 0,
    stdout: "",
    stderr: 'mailshunt: there is no backend "nwe": known are old, new\n',
  });
});

test("over TCP every request needs the token", async (t) => {
  const folder = scratchFolder(t);
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, "sesame\n");
  const { daemon } = await startAdmin(t, {
    listeners: [`protocol: admin, address: "localhost:0", token: { file: ${tokenFile} }`],
  });
  const ready =
    daemon
      .output()
      .split("\n")
      .find((line) => line.includes("is ready")) ?? "";
  const admin = addressesIn(ready).at(-1) ?? "";
  const good = await runCommand("status", "--admin", admin, "--token-file", tokenFile);
  assert.equal(good.code, 0, good.stderr);
  for (const words of [["status"], ["user", "get", "a", "b"], ["user", "list"], ["flush"]]) {
    const refused = await runCommand(...words, "--admin", admin);
    assert.deepEqual(
      [refused.code, refused.stdout, refused.stderr],
      [64, "", "mailshunt: the bearer token is missing or wrong\n"],
    );
  }
  writeFileSync(tokenFile, "other");
  assert.equal((await runCommand("status", "--admin", admin, "--token-file", tokenFile)).code, 64);
});
