import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { until } from "../../../test/support/until.ts";
import { systemClock } from "../../core/clock.ts";
import type { CommandGroup } from "./command-group.ts";
import { inspectGroup, stopGroup } from "./process-group.ts";
import { MAX_LOG_BYTES } from "./bounded-log.ts";
import { runCommand, runWithRetries } from "./supervisor.ts";
import type { CommandRun } from "./supervisor.ts";

interface Given {
  readonly folder: string;
  readonly run: (script: string, more?: Partial<CommandRun>) => CommandRun;
}

function given(t: TestContext): Given {
  const folder = scratchFolder(t);
  const logPath = join(folder, "log");
  const run = (script: string, more = {}): CommandRun => ({
    words: ["/bin/sh", "-c", script],
    folder,
    logPath,
    isCaptured: false,
    timeoutMs: 20_000,
    ...more,
  });
  return { folder, run };
}

const free = (signal = new AbortController().signal): Parameters<typeof runCommand>[1] => ({
  signal,
  mayStart: async () => true,
});

test("nothing of a command runs before its group is written down", async (t) => {
  const { folder, run } = given(t);
  const mark = join(folder, "mark");
  let group: CommandGroup | undefined;
  await runCommand(
    run(`echo done > ${mark}`),
    {
      signal: new AbortController().signal,
      mayStart: async (command) => {
        group = command;
        assert.equal(inspectGroup(command).kind, "alive");
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.equal(existsSync(mark), false);
        return true;
      },
    },
    systemClock,
  );
  assert.equal(existsSync(mark), true);
  assert.ok(group);
  assert.equal(inspectGroup(group).kind, "gone");
});

test("a command that may not start never runs", async (t) => {
  const { folder, run } = given(t);
  const mark = join(folder, "mark");
  const supervised = { signal: new AbortController().signal, mayStart: async () => false };
  await assert.rejects(runCommand(run(`echo done > ${mark}`), supervised, systemClock), /given up/);
  assert.equal(existsSync(mark), false);
});

test("words reach the command as they are, and exit codes come back", async (t) => {
  const { run } = given(t);
  const words = ["/usr/bin/printf", "[%s]", "two words", "$HOME;`id`", "*", ""];
  const { output } = await runCommand(run("", { words, isCaptured: true }), free(), systemClock);
  assert.equal(output, "[two words][$HOME;`id`][*][]");
  await assert.rejects(runCommand(run("exit 3"), free(), systemClock), /exit code 3/);
  await assert.rejects(runCommand(run("", { words: ["/no/such"] }), free(), systemClock), /was not found/);
});

test("a command's output goes to the log", async (t) => {
  const { run } = given(t);
  const one = run("echo to stdout; echo to stderr >&2");
  await runCommand(one, free(), systemClock);
  assert.match(readFileSync(one.logPath, "utf8"), /^--- \S+ \/bin\/sh -c .*\nto stdout\nto stderr\n$/);
});

test("a command that fails is told with its own error, or else with the last that it said", async (t) => {
  const { run } = given(t);
  const failing = (script: string): Promise<unknown> => runCommand(run(script), free(), systemClock);
  const { logPath } = run("");
  await assert.rejects(failing("echo 'Error: of a try before'; exit 1"), /exit code 1: Error: of a try before; see/);
  await assert.rejects(failing("exit 5"), { message: `/bin/sh ended with exit code 5; see ${logPath}` });
  const likeDoveadm =
    "echo Info: on; echo 'dsync(ann): Error: Authentication failed' >&2; echo 'dsync(ann): Panic: x'; exit 134";
  await assert.rejects(failing(likeDoveadm), {
    message: `/bin/sh ended with exit code 134: dsync(ann): Error: Authentication failed; see ${logPath}`,
  });
  await assert.rejects(failing("echo one; printf 'Host key verification failed.\\r\\n\\n'; exit 255"), {
    message: `/bin/sh ended with exit code 255: Host key verification failed.; see ${logPath}`,
  });
  const long = `/bin/sh ended with exit code 1: ${"x".repeat(200)}…; see ${logPath}`;
  await assert.rejects(failing("head -c 300 /dev/zero | tr '\\0' x; exit 1"), { message: long });
});

test("a command that writes without end ends up with a log of which the middle is left out", async (t) => {
  const { run } = given(t);
  const one = run("echo first; head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last >&2; exit 7");
  await assert.rejects(runCommand(one, free(), systemClock), /exit code 7/);
  const log = readFileSync(one.logPath, "latin1");
  assert.ok(log.length < MAX_LOG_BYTES, `${log.length} bytes`);
  assert.match(log, /^--- .*\nfirst\nx+\n--- \d+ bytes are left out here: .*\nx+\nlast\n$/);
});

test("whatever a command leaves in the background ends with it", async (t) => {
  const { folder, run } = given(t);
  await runCommand(run("sleep 1000 & echo $! > left; exit 0", { isCaptured: true }), free(), systemClock);
  const pid = Number(readFileSync(join(folder, "left"), "utf8"));
  assert.equal(isRunning(pid), false);
});

test("a command that takes too long is ended, by force where it ignores SIGTERM", async (t) => {
  const { run } = given(t);
  const stubborn = run("trap '' TERM; while :; do sleep 0.1; done", { timeoutMs: 200 });
  await assert.rejects(runCommand(stubborn, free(), systemClock), /longer than 0.2 s/);
});

test("a command hears SIGTERM before it is killed", async (t) => {
  const { folder, run } = given(t);
  const abort = new AbortController();
  const polite = run("trap 'echo bye > said; exit 0' TERM; echo > ready; while :; do sleep 0.05; done");
  const ended = assert.rejects(runCommand(polite, free(abort.signal), systemClock), /given up/);
  await until("the command runs", () => (existsSync(join(folder, "ready")) ? true : undefined));
  abort.abort();
  await ended;
  assert.equal(readFileSync(join(folder, "said"), "utf8"), "bye\n");
});

test("retries until it works", async (t) => {
  const { run } = given(t);
  const flaky = run("test -e again || { touch again; exit 1; }");
  await runWithRetries(flaky, 1, free(), systemClock);
  await assert.rejects(runWithRetries(run("exit 1"), 0, free(), systemClock), /exit code 1/);
});

test("what left the process group of a command ends with it, too", async (t) => {
  const { folder, run } = given(t);
  // In the background, or else the command would wait for it.
  const leaving = run(`setsid sh -c 'echo $$ > left; sleep 1000' & until test -s left; do sleep 0.01; done`);
  await runCommand(leaving, free(), systemClock);
  const pid = Number(readFileSync(join(folder, "left"), "utf8"));
  t.after(() => isRunning(pid) && process.kill(pid, "SIGKILL"));
  assert.equal(isRunning(pid), false);
});

test("nothing is tried again beside what is left of the try before", async (t) => {
  const { folder, run } = given(t);
  // Without our token in its environment nobody may kill it: it could be another's.
  const isCleared = "grep -q ^sleep /proc/$!/comm";
  const script = `echo >> tries; env -i sleep 1000 & echo $! > left; until ${isCleared}; do :; done; exit 1`;
  try {
    await assert.rejects(runWithRetries(run(script), 2, free(), systemClock), /do not end/);
    assert.equal(readFileSync(join(folder, "tries"), "utf8"), "\n");
  } finally {
    process.kill(Number(readFileSync(join(folder, "left"), "utf8")), "SIGKILL");
  }
});

test("what cannot be seen and keeps a command's output open is not waited for, and not taken for gone", async (t) => {
  const { folder, run } = given(t);
  const script = "env -i setsid sleep 1000 & echo $! > left; until grep -q ^sleep /proc/$!/comm; do :; done";
  try {
    await assert.rejects(runCommand(run(script, { isCaptured: true }), free(), systemClock), /keeps its output open/);
  } finally {
    process.kill(Number(readFileSync(join(folder, "left"), "utf8")), "SIGKILL");
  }
});

test("a group of another boot, or another leader, is gone and is not killed", async (t) => {
  const child = spawn("/bin/sleep", ["1000"], { detached: true, stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  const pgid = child.pid ?? 0;
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  const ours = { pgid, startTicks: "1", bootId, token: "x" };
  const quick = { termMs: 0, killMs: 1_000 };
  assert.deepEqual(await stopGroup(ours, quick, systemClock), { kind: "gone" });
  assert.deepEqual(await stopGroup({ ...ours, bootId: "other" }, quick, systemClock), { kind: "gone" });
  assert.equal(isRunning(pgid), true);
});

test("a group without its leader is known by its token alone", async (t) => {
  const { folder } = given(t);
  const start = (token: string): Promise<number> => {
    const script = "sleep 1000 & echo $! > pid; exit 0";
    const env = { ...process.env, MAILSHUNT_COMMAND: token };
    const child = spawn("/bin/sh", ["-c", script], { detached: true, stdio: "ignore", cwd: folder, env });
    return new Promise((resolve) => void child.once("exit", () => resolve(child.pid ?? 0)));
  };
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  const pgid = await start("mine");
  const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
  t.after(() => isRunning(pid) && process.kill(pid, "SIGKILL"));
  const command = { pgid, startTicks: "1", bootId, token: "mine" };
  const quick = { termMs: 0, killMs: 1_000 };
  assert.equal((await stopGroup({ ...command, token: "other" }, quick, systemClock)).kind, "unknown");
  assert.equal(isRunning(pid), true);
  assert.deepEqual(await stopGroup(command, quick, systemClock), { kind: "gone" });
  assert.equal(isRunning(pid), false);
});

for (const when of ["before it was let go", "while it runs"] as const)
  test(`a command dies with the daemon, killed ${when}`, async (t) => {
    const { folder } = given(t);
    const program = join(folder, "daemon.ts");
    const here = import.meta.dirname;
    writeFileSync(
      program,
      `import { runCommand } from ${JSON.stringify(join(here, "supervisor.ts"))};
       import { systemClock } from ${JSON.stringify(join(here, "../../core/clock.ts"))};
       import { writeFileSync } from "node:fs";
       const run = { words: ["/bin/sh", "-c", "echo > ran; sleep 1000 & sleep 1000"], folder: ".", logPath: "log", isCaptured: false, timeoutMs: 60000 };
       setInterval(() => undefined, 1000);
       await runCommand(run, { signal: new AbortController().signal, mayStart: (group) => {
         writeFileSync("group.json", JSON.stringify(group));
         return ${when === "while it runs" ? "Promise.resolve(true)" : "new Promise(() => undefined)"};
       } }, systemClock);`,
    );
    const daemon = spawn(process.execPath, [program], { cwd: folder, stdio: "inherit" });
    t.after(() => daemon.kill("SIGKILL"));
    const wanted = join(folder, when === "while it runs" ? "ran" : "group.json");
    await until("the command is there", () => (existsSync(wanted) ? true : undefined));
    const group = await until("its group is known", () => {
      const text = readFileSync(join(folder, "group.json"), "utf8");
      return text.endsWith("}") ? (JSON.parse(text) as CommandGroup) : undefined;
    });
    assert.equal(inspectGroup(group).kind, "alive");
    daemon.kill("SIGKILL");
    await until("the command is gone", () => (inspectGroup(group).kind === "gone" ? true : undefined));
    assert.equal(existsSync(join(folder, "ran")), when === "while it runs");
  });

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}
