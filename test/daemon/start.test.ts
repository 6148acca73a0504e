import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { MAIN, runMailshunt, startMailshunt, writeConfig } from "../support/daemon-process.ts";
import { waitForFileText } from "../support/file-text.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const STORE = { old: 'lmtp: "unix:/nonexistent/old"' };

async function greetingOf(path: string): Promise<string> {
  const socket = connect(path);
  const [greeting] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return greeting.toString();
}

test("a faulty configuration: 78, and every fault with its line and a caret", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: STORE,
    users: { u: "older" },
    more: ["colour: red"],
  });
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", config]);
  assert.equal(code, 78);
  assert.match(stderr, /mailshunt\.yaml:7:\d+: .*older.*\n {4} {2}users: .*\n {4} *\^\n/);
  assert.match(stderr, /mailshunt\.yaml:9:1: .*colour.*\n {4}colour: red\n {4}\^\n/);
  assert.match(stderr, /mailshunt\.yaml: 2 errors, 0 warnings\n$/);
  assert.equal(existsSync(join(folder, "lmtp")), false);
});

test("a configuration that is not there: 78", async (t) => {
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", "/nonexistent/mailshunt.yaml"]);
  assert.equal(code, 78);
  assert.match(stderr, /^\/nonexistent\/mailshunt\.yaml: cannot read it: /);
});

test("a daemon killed outright leaves a socket and a pid file, and the next one takes both", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp", permissions: "0640"`],
    backends: STORE,
    more: [`process: { pid_file: ${folder}/pid }`],
  });
  const first = startMailshunt(t, ["serve", "-c", config]);
  await first.nextLine(/is ready/);
  assert.equal(readFileSync(join(folder, "pid"), "utf8"), `${first.pid}\n`);

  const second = await runMailshunt(t, ["serve", "-c", config]);
  assert.equal(second.code, 71);
  assert.match(second.stderr, new RegExp(`error: already running as process ${first.pid}, says ${folder}/pid\n$`));
  assert.match(await greetingOf(join(folder, "lmtp")), /^220 /);

  first.signal("SIGKILL");
  await first.exited;
  assert.equal(existsSync(join(folder, "lmtp")), true);
  const third = startMailshunt(t, ["serve", "-c", config]);
  await third.nextLine(/is ready/);
  assert.equal(readFileSync(join(folder, "pid"), "utf8"), `${third.pid}\n`);
  assert.equal(statSync(join(folder, "lmtp")).mode & 0o777, 0o640);
  assert.match(await greetingOf(join(folder, "lmtp")), /^220 /);
  third.signal("SIGTERM");
  assert.deepEqual(await third.exited, { code: 0, signal: null });
  assert.deepEqual([existsSync(join(folder, "lmtp")), existsSync(join(folder, "pid"))], [false, false]);
});

test("a live socket, a file that is no socket, a folder that is not there: 71, each named, all at once", async (t) => {
  const folder = scratchFolder(t);
  writeFileSync(join(folder, "file"), "precious");
  const live = writeConfig(folder, { listeners: [`address: "unix:${folder}/live"`], backends: STORE });
  const other = startMailshunt(t, ["serve", "-c", live]);
  await other.nextLine(/is ready/);
  const config = writeConfig(folder, {
    listeners: ["live", "file", "missing/lmtp", "free"].map((name) => `address: "unix:${folder}/${name}"`),
    backends: STORE,
    more: [`process: { pid_file: ${folder}/pid }`],
  });
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", config]);
  assert.equal(code, 71);
  assert.match(stderr, /error: cannot listen on unix:\S+\/live: another process serves this socket/);
  assert.match(stderr, /error: cannot listen on unix:\S+\/file: a file that is no socket is there/);
  assert.match(stderr, /error: cannot listen on unix:\S+\/missing\/lmtp: the folder \S+\/missing does not exist/);
  assert.equal(readFileSync(join(folder, "file"), "utf8"), "precious");
  assert.deepEqual([existsSync(join(folder, "free")), existsSync(join(folder, "pid"))], [false, false]);
  assert.match(await greetingOf(join(folder, "live")), /^220 /);
});

test("a log file that cannot be opened: 71, on stderr", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: STORE,
    more: [`log: { to: ${folder}/missing/log }`],
  });
  const { code, stderr } = await runMailshunt(t, ["serve", "-c", config]);
  assert.equal(code, 71);
  assert.match(stderr, /error: \S+\/missing\/log cannot be opened: no such file or directory$/m);
  assert.equal(existsSync(join(folder, "lmtp")), false);
});

test("under systemd: READY after the sockets, RELOADING and READY around a reload, STOPPING", async (t) => {
  const folder = scratchFolder(t);
  const heard = join(folder, "heard");
  const socket = join(folder, "lmtp");
  // Says whether the socket was there when the message came.
  const script = `#!/bin/sh\n[ -S '${socket}' ] && there=yes || there=no\necho "$* socket=$there" >> '${heard}'\n`;
  writeFileSync(join(folder, "systemd-notify"), script, { mode: 0o755 });
  const config = writeConfig(folder, { listeners: [`address: "unix:${socket}"`], backends: STORE });
  const daemon = startMailshunt(t, ["serve", "-c", config], {
    env: { PATH: `${folder}:${process.env["PATH"]}`, NOTIFY_SOCKET: "/run/nobody" },
  });
  await daemon.nextLine(/is ready/);
  daemon.signal("SIGHUP");
  await waitForFileText(heard, /READY(?:.|\n)*RELOADING(?:.|\n)*READY/);
  daemon.signal("SIGTERM");
  await daemon.exited;
  assert.match(
    readFileSync(heard, "utf8"),
    /^READY=1 STATUS=0 users, 1 backend socket=yes\nRELOADING=1 MONOTONIC_USEC=\d+ socket=yes\nREADY=1 STATUS=0 users, 1 backend socket=yes\nSTOPPING=1 socket=(?:yes|no)\n$/,
  );
});

test("a bug is logged with its stack and ends with 70; sockets and pid file go", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, {
    listeners: [`address: "unix:${folder}/lmtp"`],
    backends: STORE,
    more: [`process: { pid_file: ${folder}/pid }`],
  });
  // Planted from outside: SIGUSR2 makes a promise that nobody handles reject.
  const planted = `process.on("SIGUSR2", () => void Promise.reject(new Error("planted")))`;
  const child = spawn(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(planted)}`, MAIN, "serve", "-c", config],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  t.after(() => child.kill("SIGKILL"));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    if (text.includes("is ready")) child.kill("SIGUSR2");
  });
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 70);
  assert.match(stderr, /error: a bug, ending: Error: planted \| at .*\n$/);
  assert.deepEqual([existsSync(join(folder, "lmtp")), existsSync(join(folder, "pid"))], [false, false]);
});
