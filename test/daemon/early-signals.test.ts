import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmdirSync, mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { MAIN, startMailshunt, writeConfig } from "../support/daemon-process.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { until } from "../support/until.ts";

const SKETCH = { listeners: ['address: "127.0.0.1:0"'], backends: { old: 'lmtp: "127.0.0.1:1"' }, fallback: "old" };
const SIGHUP = 1;

/** Whether a process has a handler for a signal. Source: proc(5). */
function catches(pid: number, signal: number): true | undefined {
  const caught = /^SigCgt:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return ((BigInt(`0x${caught}`) >> BigInt(signal - 1)) & 1n) === 1n ? true : undefined;
}

test("a SIGHUP that comes while the daemon starts is one reload", async (t) => {
  // A large table, so that the start takes a while.
  const users = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`user${index}`, "old"]));
  const config = writeConfig(scratchFolder(t), { ...SKETCH, users });
  const daemon = startMailshunt(t, ["serve", "-c", config]);
  await until("the daemon takes SIGHUP", () => catches(daemon.pid, SIGHUP));
  daemon.signal("SIGHUP");
  await daemon.nextLine(/is ready/);
  await daemon.nextLine(/reload 1 took effect/);
  daemon.signal("SIGTERM");
  assert.equal((await daemon.exited).code, 0);
});

test("a debugger that SIGUSR1 opened before us is closed again, and the signal is a reload", async (t) => {
  const config = writeConfig(scratchFolder(t), SKETCH);
  const opened = 'data:text/javascript,import{open}from"node:inspector";open(0)';
  const child = spawn(process.execPath, ["--import", opened, MAIN, "serve", "-c", config], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  await until("the reload", () => (output.includes("reload 1 took effect") ? true : undefined), {
    describe: () => output,
  });
  const port = Number(/Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1]);
  assert.ok(port > 0, output);
  const socket = connect(port, "127.0.0.1");
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNREFUSED");
  child.kill("SIGTERM");
  await once(child, "close");
});

test("the folder it was started in may go", async (t) => {
  const folder = scratchFolder(t);
  const config = writeConfig(folder, SKETCH);
  const start = join(folder, "start");
  mkdirSync(start);
  const daemon = startMailshunt(t, ["serve", "-c", config], { cwd: start });
  await daemon.nextLine(/is ready/);
  rmdirSync(start);
  daemon.signal("SIGHUP");
  await daemon.nextLine(/reload 1 took effect/);
});
