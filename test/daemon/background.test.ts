import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { join } from "node:path";
import { test } from "node:test";
import { MAIN, runMailshunt, writeConfig } from "../support/daemon-process.ts";
import { installFakeLogger } from "../support/fake-logger.ts";
import type { FakeLogger } from "../support/fake-logger.ts";
import { textOf, waitForFileText } from "../support/file-text.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import type { Scope } from "./setting.ts";

const envWith = (logger: FakeLogger): Record<string, string> => ({
  PATH: `${logger.binFolder}:${process.env["PATH"]}`,
});

/** A file of lmtp-proxy, as its users have it. */
function writeLmtpProxyConfig(folder: string, users: string): string {
  const path = join(folder, "lmtp-proxy.conf");
  writeFileSync(
    path,
    `config:\n  socket: ${folder}/lmtp\n  permissions: 0660\n  ignoreDomain: True\n  pid: ${folder}/pid\n` +
      `backends:\n  cyrus: { socket: ${folder}/store }\nusers:\n  ${users}\n`,
  );
  return path;
}

/** Ends the daemon that a pid file names, also when its test fails before. */
function endWithTest(t: Scope, pidPath: string): void {
  t.after(() => {
    const pid = Number(textOf(pidPath));
    if (pid > 0) process.kill(pid, "SIGKILL");
  });
}

/** Resolves when the last of the daemon's sockets is closed, which is when it has ended. */
async function connectionTo(path: string): Promise<{ ended: Promise<unknown> }> {
  const socket = connect(path);
  socket.on("error", () => {});
  const ended = once(socket, "close");
  await once(socket, "data");
  socket.resume();
  return { ended };
}

test("lmtp-proxy -D: 0 once it listens, pid file, syslog as ever, and SIGUSR1 by that pid reloads", async (t) => {
  const folder = scratchFolder(t);
  const logger = installFakeLogger(folder);
  endWithTest(t, join(folder, "pid"));
  const config = writeLmtpProxyConfig(folder, "user1: cyrus");
  const { code, stdout, stderr } = await runMailshunt(t, ["lmtp-proxy", "-c", config, "-D"], { env: envWith(logger) });
  // What leads lines from logger(1) on is the machine's, and may be missing.
  const warning = existsSync("/dev/log")
    ? ""
    : "lmtp-proxy: warning: there is no syslog at /dev/log: the log is lost; set log.to, or run without -D\n";
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "", stderr: warning });
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  assert.equal(readFileSync(`/proc/${pid}/comm`, "utf8"), "lmtp-proxy\n", "its name for ps and pgrep");

  // A second start finds the first by that file.
  const second = await runMailshunt(t, ["lmtp-proxy", "-c", config, "-D"], { env: envWith(logger) });
  assert.equal(second.code, 71);
  assert.match(second.stderr, new RegExp(`: already running as process ${pid}, says ${folder}/pid\n`));
  const { ended } = await connectionTo(join(folder, "lmtp"));

  // Of its own: session, folder, and nothing of our terminal.
  const status = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  assert.equal(Number(status[3]), pid, "leader of its session");
  assert.equal(readlinkSync(`/proc/${pid}/cwd`), "/");
  for (const fd of [0, 1, 2]) assert.equal(readlinkSync(`/proc/${pid}/fd/${fd}`), "/dev/null");

  await waitForFileText(logger.linesPath, /^<21>mailshunt \S+ is ready: 1 user, 1 backend, listening on unix:/m);
  assert.match(textOf(logger.startsPath), new RegExp(`--tag lmtp-proxy --id=${pid} `));

  writeLmtpProxyConfig(folder, "user1: reject\n  user2: cyrus");
  process.kill(pid, "SIGUSR1");
  await waitForFileText(logger.linesPath, /^<21>reload 1 took effect, .* 2 users, 1 backend$/m);
  process.kill(pid, "SIGTERM");
  await ended;
  await waitForFileText(logger.linesPath, /^<21>stopped$/m);
  assert.equal(existsSync(join(folder, "lmtp")), false);
});

test("serve -D with a faulty configuration: 78, and its faults on our stderr", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, { listeners: [`address: "unix:${folder}/lmtp"`], backends: {}, more: ["x: y"] });
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", config, "-D"]);
  assert.equal(code, 78);
  assert.match(stderr, /mailshunt\.yaml:\d+:1: .*"x"/);
  assert.match(stderr, /: 2 errors, 0 warnings\n$/);
});

test("serve -D where it cannot listen: 71, with the reason on our stderr", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/missing/lmtp"`],
    backends: { old: 'lmtp: "unix:/nonexistent"' },
    more: [`process: { pid_file: ${folder}/pid }`, `log: { to: ${folder}/log }`],
  });
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", config, "-D"]);
  assert.equal(code, 71);
  assert.match(stderr, /error: cannot listen on unix:\S+\/missing\/lmtp: the folder \S+\/missing does not exist/);
  assert.equal(existsSync(join(folder, "pid")), false);
});

test("what the starting script has open, such as its lock, is not the daemon's", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: { old: 'lmtp: "unix:/nonexistent"' },
    more: [`process: { pid_file: ${folder}/pid }`, `log: { to: ${folder}/log }`],
  });
  // 200 as in flock(1). From 3 on "ignore" opens nothing.
  const child = spawn(process.execPath, [MAIN, "serve", "-D", "-c", config], {
    stdio: [...Array.from({ length: 200 }, () => "ignore" as const), "pipe"],
  });
  const held = child.stdio[200 as 3] as unknown as Readable;
  const isReleased = once(held.resume(), "end");
  assert.deepEqual(await once(child, "exit"), [0, null]);
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  t.after(() => process.kill(pid, "SIGKILL"));
  assert.equal(existsSync(`/proc/${pid}/fd/2`), true);
  assert.equal(existsSync(`/proc/${pid}/fd/200`), false);
  await isReleased;
});

test("a configuration given by a relative path is found again at a reload", async (t) => {
  const folder = scratchFolder(t);
  const logPath = join(folder, "log");
  endWithTest(t, join(folder, "pid"));
  writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: { old: 'lmtp: "unix:/nonexistent"' },
    more: [`process: { pid_file: ${folder}/pid }`, `log: { to: ${logPath} }`],
  });
  const { code } = await runMailshunt(t, ["serve", "-D", "-c", "mailshunt.yaml"], { cwd: folder });
  assert.equal(code, 0);
  const { ended } = await connectionTo(join(folder, "lmtp"));
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  process.kill(pid, "SIGHUP");
  await waitForFileText(logPath, /reload 1 took effect/);
  process.kill(pid, "SIGTERM");
  await ended;
  await waitForFileText(logPath, /: stopped$/m);
});
