import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "./result.ts";
import { EVENTS_FD, type FileEvent } from "./reporter.ts";
import { endStrays, findStrays, MARK } from "./strays.ts";

/** How long what a file started may take to end after it. */
const STRAY_GRACE_MS = 3_000;
const STRAY_POLL_MS = 50;
/** Of what a file prints, the last so many characters are shown when it fails. */
const MAX_OUTPUT_CHARS = 100_000;

const reporter = join(import.meta.dirname, "reporter.ts");

/** Test files under way: their process groups end with us. */
const running = new Map<number, string>();

export function endRunningFiles(): void {
  for (const [group, mark] of running) endStrays(group, mark);
}

/** Runs one test file in a process, and process group, of its own. Nothing that it does can fail to be seen. */
export async function runFile(file: string, timeoutMs: number): Promise<Result> {
  const startedMs = performance.now();
  const mark = `${process.pid}:${file}`;
  const child = spawn(process.execPath, [`--test-reporter=${reporter}`, "--test-reporter-destination=stdout", file], {
    detached: true,
    env: { ...process.env, NO_COLOR: "1", NODE_TEST_CONTEXT: undefined, [MARK]: mark },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const group = child.pid;
  if (group === undefined) return failedToStart(file, child);
  running.set(group, mark);

  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-MAX_OUTPUT_CHARS);
    });
  const events = collectEvents(child);

  let hasTimedOut = false;
  const timer = setTimeout(() => {
    hasTimedOut = true;
    endStrays(group, mark);
  }, timeoutMs);
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  clearTimeout(timer);
  const strays = await awaitStrays(group, mark);
  endStrays(group, mark);
  // Whoever held the pipes has ended by now.
  if (child.stdout?.readableEnded === false || child.stderr?.readableEnded === false) await drained(child);
  running.delete(group);

  const result = summarize(file, events);
  const complain = (error: string) => result.failures.push({ test: file, error });
  const broke = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const open = stillRunning(events);
  const where = open.length === 0 ? "" : `, in: ${open.join(", ")}`;
  if (hasTimedOut)
    complain(`did not end within ${timeoutMs / 1000} s${where || "; something stayed open after its last test"}`);
  else if (events.length === 0 && code === 0)
    complain("reported no test: it has none, or it left before the first had ended");
  else if (!events.some(({ kind }) => kind === "end")) complain(`broke off with ${broke}${where}`);
  else if (code !== 0 && result.failures.length === 0) complain(`ended with ${broke}`);
  if (strays.length > 0) complain(`left running:\n${strays.map(({ pid, command }) => `${pid} ${command}`).join("\n")}`);
  return { ...result, output, seconds: (performance.now() - startedMs) / 1000 };
}

function failedToStart(file: string, child: ChildProcess): Promise<Result> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      const failures = [{ test: file, error: String(error) }];
      resolve({ name: file, passed: 0, failures, skips: [], notes: [], output: "", seconds: 0 });
    });
  });
}

function collectEvents(child: ChildProcess): FileEvent[] {
  const events: FileEvent[] = [];
  let rest = "";
  const pipe = child.stdio[EVENTS_FD];
  if (pipe === null || pipe === undefined || !("setEncoding" in pipe)) throw new Error("no pipe for events");
  pipe.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) events.push(JSON.parse(line) as FileEvent);
  });
  return events;
}

async function awaitStrays(group: number, mark: string): Promise<ReturnType<typeof findStrays>> {
  const deadlineMs = performance.now() + STRAY_GRACE_MS;
  for (;;) {
    const strays = findStrays(group, mark);
    if (strays.length === 0 || performance.now() > deadlineMs) return strays;
    await sleep(STRAY_POLL_MS);
  }
}

async function drained(child: ChildProcess): Promise<void> {
  await Promise.race([once(child, "close"), sleep(STRAY_GRACE_MS, undefined, { ref: false })]);
}

interface FileCounts extends Omit<Result, "output" | "seconds"> {
  readonly failures: { test: string; error: string }[];
}

function summarize(file: string, events: readonly FileEvent[]): FileCounts {
  const failures = events.flatMap((event) => {
    if (event.kind === "failed") return [{ test: event.test, error: event.error }];
    return event.kind === "complaint" ? [{ test: file, error: event.text }] : [];
  });
  const skips = events.flatMap((event) => (event.kind === "skipped" ? [event] : []));
  const notes = events.flatMap((event) => (event.kind === "note" ? [event.text] : []));
  return { name: file, passed: events.filter(({ kind }) => kind === "passed").length, failures, skips, notes };
}

function stillRunning(events: readonly FileEvent[]): string[] {
  const open: string[] = [];
  for (const event of events) {
    if (event.kind === "started") open.push(event.test);
    if (event.kind === "finished" && open.includes(event.test)) open.splice(open.indexOf(event.test), 1);
  }
  return open;
}
