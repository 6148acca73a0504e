import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findUser } from "../../src/core/accounts.ts";
import { runMailshunt, startMailshunt, writeConfig } from "../support/daemon-process.ts";
import { textOf, waitForFileText } from "../support/file-text.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const IS_ROOT = process.geteuid?.() === 0;
const STORE = { old: 'lmtp: "unix:/nonexistent/old"' };

test("root binds, then becomes the user for good; others are told that only root can", async (t) => {
  const folder = scratchFolder(t);
  const nobody = await findUser("nobody");
  assert.ok(nobody?.gid !== undefined);
  const run = join(folder, "run");
  mkdirSync(run);
  chmodSync(folder, 0o755);
  const logPath = join(run, "log");
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp", owner: root, group: root, permissions: "0600"`],
    backends: STORE,
    more: [`process: { user: nobody, pid_file: ${folder}/pid }`, `log: { to: ${logPath} }`],
  });
  if (!IS_ROOT) {
    const { code, stderr } = await runMailshunt(t, ["serve", "-c", config]);
    assert.equal(code, 71);
    assert.match(stderr, /process\.user asks for user id \d+ .*: start as root, or as that user\n$/);
    return;
  }
  // The log's folder is the user's, as packages make it; the sockets' folder is root's.
  chownSync(run, nobody.uid, nobody.gid);
  const daemon = startMailshunt(t, ["serve", "-c", config]);
  await waitForFileText(logPath, /is ready/);
  const status = readFileSync(`/proc/${daemon.pid}/status`, "utf8");
  const four = (id: number): string => Array.from({ length: 4 }, () => id).join("\t");
  assert.match(status, new RegExp(`^Uid:\t${four(nobody.uid)}$`, "m"));
  assert.match(status, new RegExp(`^Gid:\t${four(nobody.gid)}$`, "m"));
  assert.doesNotMatch(status, /^Groups:\t.*\b0\b/m);
  assert.match(textOf(logPath), new RegExp(`running as user id ${nobody.uid} and group id ${nobody.gid}$`, "m"));

  const socket = statSync(join(folder, "lmtp"));
  assert.deepEqual([socket.uid, socket.mode & 0o777], [0, 0o600]);
  assert.equal(statSync(logPath).uid, nobody.uid);

  // A rotation needs no root, and neither does a reload.
  renameSync(logPath, `${logPath}.1`);
  daemon.signal("SIGHUP");
  await waitForFileText(logPath, /reload 1 took effect/);
  daemon.signal("SIGTERM");
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });

  // What is left in root's folder does not stop the next start.
  const again = startMailshunt(t, ["serve", "-c", config]);
  await waitForFileText(logPath, /is ready/);
  assert.equal(readFileSync(join(folder, "pid"), "utf8"), `${again.pid}\n`);
  again.signal("SIGTERM");
  await again.exited;
});

test("a socket in a folder that is closed to the user, as Postfix's private: reloads and ends quietly", async (t) => {
  const folder = scratchFolder(t);
  chmodSync(folder, 0o755);
  const closed = join(folder, "private");
  mkdirSync(closed, { mode: 0o700 });
  const logPath = join(folder, "run", "log");
  mkdirSync(join(folder, "run"));
  const nobody = await findUser("nobody");
  if (IS_ROOT) chownSync(join(folder, "run"), nobody?.uid ?? -1, nobody?.gid ?? -1);
  const user = IS_ROOT ? "nobody" : String(process.geteuid?.());
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${closed}/lmtp", permissions: "0666"`],
    backends: STORE,
    more: [`process: { user: ${user} }`, `log: { to: ${logPath} }`],
  });
  // Twice: the second one finds what the first could not remove.
  for (const start of [1, 2]) {
    const daemon = startMailshunt(t, ["serve", "-c", config]);
    await waitForFileText(logPath, new RegExp(`(?:is ready[^]*){${start}}`));
    daemon.signal("SIGHUP");
    await waitForFileText(logPath, new RegExp(`(?:no delivery admitted before it[^]*){${start}}`));
    daemon.signal("SIGTERM");
    assert.deepEqual(await daemon.exited, { code: 0, signal: null });
  }
  assert.doesNotMatch(textOf(logPath), /daemon\[\d+\]: (?:warning|error)/);
});

test("a file that the user cannot read is warned of before the reload that would fail", async (t) => {
  const folder = scratchFolder(t); // 0700, so that nobody else can look into it
  const config = writeConfig(folder, {
    listeners: ['address: "127.0.0.1:0"'],
    backends: STORE,
    more: [`process: { user: ${IS_ROOT ? "nobody" : String(process.geteuid?.())} }`],
  });
  const daemon = startMailshunt(t, ["serve", "-c", config]);
  if (IS_ROOT) {
    await daemon.nextLine(/warning: \S+\/mailshunt\.yaml cannot be read by the user we run as: a reload will fail$/);
    await daemon.nextLine(/is ready/);
    daemon.signal("SIGUSR1");
    await daemon.nextLine(/error: reload 1 failed/);
  } else await daemon.nextLine(/is ready/);
  daemon.signal("SIGTERM");
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
});

test("a rotation in a folder closed to the user: warned of at the start, and users move all the same", async (t) => {
  const folder = scratchFolder(t);
  chmodSync(folder, 0o755);
  const logPath = join(folder, "log");
  const sketch = {
    listeners: [`address: "unix:${folder}/lmtp", permissions: "0600"`],
    backends: STORE,
    more: [`process: { user: ${IS_ROOT ? "nobody" : String(process.geteuid?.())} }`, `log: { to: ${logPath} }`],
  };
  const config = writeConfig(folder, sketch);
  const daemon = startMailshunt(t, ["serve", "-c", config]);
  await waitForFileText(logPath, /is ready/);
  const warning = `warning: log.to: ${folder} is not writable for user nobody: a rotation has to create ${logPath} for that user\n`;
  assert.equal(textOf(logPath).includes(warning), IS_ROOT);

  // Rotated without a new file.
  renameSync(logPath, `${logPath}.1`);
  const listeners = [`address: "unix:${folder}/lmtp", permissions: "0666"`];
  writeConfig(folder, { ...sketch, listeners, users: { ann: "old" } });
  daemon.signal("SIGHUP");
  const whereItGoesOn = IS_ROOT ? `${logPath}.1` : logPath;
  await waitForFileText(whereItGoesOn, /reload 1 took effect, .*: 1 user, 1 backend$/m);
  if (IS_ROOT) {
    const [, error] = /daemon\[\d+\]: error: (.*)\n/.exec(textOf(whereItGoesOn)) ?? [];
    assert.equal(
      error,
      `the log goes on in the old file: ${logPath} cannot be opened: permission denied for user nobody; ` +
        "create it for that user before the reload",
    );
    const [, access] = /warning: (unix:.*)\n/.exec(textOf(whereItGoesOn)) ?? [];
    assert.equal(
      access,
      `unix:${folder}/lmtp: owner, group and permissions stay as they are until a restart: we are not root any more`,
    );
    // Rotated as it should be.
    const nobody = await findUser("nobody");
    writeFileSync(logPath, "", { mode: 0o640 });
    chownSync(logPath, nobody?.uid ?? -1, nobody?.gid ?? -1);
    daemon.signal("SIGHUP");
    await waitForFileText(logPath, /reload 2 took effect/);
    assert.doesNotMatch(textOf(logPath), /the log goes on/);
  }
  daemon.signal("SIGTERM");
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
});

test("a user that does not exist: 71, before anything is bound", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: ['address: "127.0.0.1:0"'],
    backends: STORE,
    more: ["process: { user: nosuchuser }"],
  });
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", config]);
  assert.equal(code, 71);
  assert.match(stderr, /error: process\.user: there is no user "nosuchuser"\n$/);
});
