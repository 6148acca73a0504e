import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { installFakeLogger } from "../../test/support/fake-logger.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { textOf } from "../../test/support/file-text.ts";
import { systemClock } from "../core/clock.ts";
import type { LogEntry } from "../core/log.ts";
import { createDaemonLog } from "./daemon-log.ts";
import type { DaemonLog, LogSettings } from "./daemon-log.ts";

function logWith(environment: Record<string, string> = {}): DaemonLog {
  return createDaemonLog({ program: "mailshunt", host: "mx1", pid: 4711, clock: systemClock, environment });
}

const notice = (text: string): LogEntry => ({ kind: "message", level: "notice", part: "daemon", text });
const toFile = (path: string, changed: Partial<LogSettings> = {}): LogSettings => ({
  to: { kind: "file", path },
  format: "text",
  level: "info",
  ...changed,
});
const textsIn = (path: string): string[] =>
  textOf(path)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/^.*\]: /, ""));

test("what is said before the configuration is known goes where it says, by its level", async (t) => {
  const path = join(scratchFolder(t), "log");
  const log = logWith();
  log.write(notice("early"));
  log.write({ kind: "message", level: "debug", part: "daemon", text: "too fine" });
  log.configure(toFile(path));
  log.write(notice("late"));
  await log.close(60_000);
  assert.deepEqual(textsIn(path), ["early", "late"]);
  assert.equal(statSync(path).mode & 0o777, 0o640);
});

test("reopen goes on in a new file of the old name; level and format change at once", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "log");
  const log = logWith();
  log.configure(toFile(path));
  log.write(notice("one"));
  log.flushNow();
  renameSync(path, join(folder, "log.1"));
  log.reopen();
  log.write(notice("two"));
  log.flushNow();
  log.configure(toFile(path, { format: "json", level: "warning" }));
  log.write(notice("hidden"));
  log.write({ kind: "message", level: "error", part: "daemon", text: "three" });
  await log.close(60_000);
  assert.deepEqual(textsIn(join(folder, "log.1")), ["one"]);
  const [two, three, ...others] = textOf(path).trimEnd().split("\n");
  assert.match(two ?? "", /: two$/);
  assert.match(three ?? "", /^\{"time":.*"text":"three"\}$/);
  assert.deepEqual(others, []);
});

test("a file that cannot be opened again: the old one goes on, under its new name, and other settings hold", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "log");
  const log = logWith();
  log.configure(toFile(path));
  renameSync(path, join(folder, "log.1"));
  mkdirSync(path);
  assert.throws(() => log.reopen(), {
    code: "CANNOT_OPEN_LOG",
    message: `${path} cannot be opened: illegal operation on a directory`,
  });
  log.configure(toFile(path, { level: "error" }));
  log.write(notice("hidden"));
  log.write({ kind: "message", level: "error", part: "daemon", text: "seen" });
  await log.close(60_000);
  assert.deepEqual(textsIn(join(folder, "log.1")), ["error: seen"]);
});

test("a file that cannot be opened changes nothing", async (t) => {
  const folder = scratchFolder(t);
  const path = join(folder, "log");
  const log = logWith();
  log.configure(toFile(path));
  assert.throws(() => log.configure(toFile(join(folder, "missing", "log"))), {
    message: `${join(folder, "missing", "log")} cannot be opened: no such file or directory`,
  });
  log.write(notice("still here"));
  await log.close(60_000);
  assert.deepEqual(textsIn(path), ["still here"]);
});

test("from a file to syslog: each line in one of them", async (t) => {
  const folder = scratchFolder(t);
  const logger = installFakeLogger(folder);
  const log = logWith({ PATH: `${logger.binFolder}:/usr/bin:/bin` });
  log.configure(toFile(join(folder, "log")));
  log.write(notice("in the file"));
  log.flushNow();
  log.configure({ to: { kind: "syslog" }, format: "text", level: "info" });
  log.write(notice("in syslog"));
  await log.close(60_000);
  assert.deepEqual(textsIn(join(folder, "log")), ["in the file"]);
  assert.equal(textOf(logger.linesPath), "<21>in syslog\n");
});

/** Runs code in a process of its own whose stderr is a pipe that nobody reads before it says so on stdout. */
async function runWithSlowStderr(shell: (node: string) => string): Promise<{ stdout: string; stderr: string }> {
  const child = spawn("/bin/sh", ["-c", shell(process.execPath)], {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: import.meta.dirname,
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), 30_000); // a writer that blocks would wait for ever
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    child.stdin.end(); // tells the reader behind the pipe to begin
  });
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(limit);
  return { stdout, stderr };
}

const FLOOD = `
  import { systemClock } from "../core/clock.ts";
  import { createDaemonLog } from "./daemon-log.ts";
  const log = createDaemonLog({ program: "mailshunt", host: "mx1", pid: 1, clock: systemClock, environment: {} });
  log.configure({ to: { kind: "stderr" }, format: "text", level: "info" });
  const text = "x".repeat(1000);
  for (let turn = 0; turn < 10; turn++) {
    for (let line = 0; line < 1000; line++) log.write({ kind: "message", level: "info", part: "daemon", text });
    await new Promise((resolve) => setImmediate(resolve));
  }
  process.stdout.write("not blocked");
  process.stdin.resume();
  process.stdin.on("end", async () => {
    await log.close(20_000);
    process.exit(0);
  });
`;

test("a reader that is slow blocks nothing; lines past the bound are dropped and counted", async () => {
  // stderr is a kernel pipe, and its reader starts only when our stdin has ended, after the flood.
  const { stdout, stderr } = await runWithSlowStderr(
    (node) =>
      `exec 3<&0; { '${node}' --input-type=module -e '${FLOOD}' <&3 2>&1 1>&4 | { cat <&3 >/dev/null; cat >&2; }; } 4>&1`,
  );
  assert.equal(stdout, "not blocked");
  const lines = stderr.trimEnd().split("\n");
  const kept = lines.filter((line) => line.endsWith("x".repeat(1000))).length;
  const lost = /: warning: (\d+) log lines dropped/.exec(stderr)?.[1];
  assert.equal(lines.length, kept + 1);
  assert.equal(kept + Number(lost), 10_000);
  assert.ok(kept > 1000 && kept < 3000, `${kept} lines kept`);
});
