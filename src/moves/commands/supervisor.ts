import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import type { Readable } from "node:stream";
import type { Clock } from "../../core/clock.ts";
import { ActFailed } from "../tools.ts";
import type { Supervised } from "../tools.ts";
import { wait } from "../run/wait.ts";
import { watchLog } from "./bounded-log.ts";
import type { CommandGroup } from "./command-group.ts";
import { describeLeader, stopGroup, TOKEN_VARIABLE } from "./process-group.ts";
import { findTellingLine } from "./telling-line.ts";

/**
 * Leads the command's process group. It waits for a word on descriptor 3 before anything is run, and kills the whole group
 * when that pipe ends, as it does when the daemon dies. SIGTERM to the group ends the command, but not this shell before it.
 * It buries what waits on that pipe, so that the group is gone with itself and nobody has to look who is left in it.
 */
const SUPERVISOR = `
trap : TERM
IFS= read -r go <&3 && [ "$go" = go ] || exit 125
"$@" 3<&- &
child=$!
{ trap '' TERM; IFS= read -r go <&3; kill -KILL 0; } &
watcher=$!
exec 3<&-
while :; do
  wait "$child"
  status=$?
  [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null || break
done
kill -KILL "$watcher"
wait "$watcher" 2>/dev/null
exit "$status"
`;

export interface CommandRun {
  readonly words: readonly string[];
  readonly folder: string;
  /** Gets stdout and stderr, within bounds: see `MAX_LOG_BYTES`. */
  readonly logPath: string;
  /** Stdout comes back instead, up to `MAX_OUTPUT_BYTES` of it. */
  readonly isCaptured: boolean;
  readonly timeoutMs: number;
  /** Exit codes that are fine beside 0. */
  readonly fineCodes?: readonly number[];
}

/** A command ran, and did not do what it was to do. */
export class CommandFailed extends ActFailed {
  /** Null: a signal ended it. */
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface CommandEnd {
  readonly output: string;
}

/** Longest output of a command that is asked something, in bytes: a list of one user's sessions. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/** Nothing may follow before they are proven gone: not even another try, which would take their place in the journal. */
class StillThere extends ActFailed {}

/** After SIGTERM, in ms: a sync may have to unlock a mailbox. */
const TERM_MS = 3_000;
const KILL_MS = 5_000;

/**
 * Runs a command once. Settles only when nothing of it is left, or its end could not be reached.
 * @throws ActFailed for an exit code that is not fine, a timeout, an abort
 */
export async function runCommand(run: CommandRun, supervised: Supervised, clock: Clock): Promise<CommandEnd> {
  const { signal } = supervised;
  if (signal.aborted) throw new ActFailed("it was given up");
  const token = randomBytes(12).toString("hex");
  const { child, outputStart } = await spawnStopped(run, token);
  const exited = waitForExit(child);
  const output = collect(child.stdout);
  let group: CommandGroup;
  try {
    group = describeLeader(child.pid ?? 0, token);
  } catch (error) {
    child.stdio[3]?.destroy();
    child.kill("SIGKILL");
    throw error;
  }
  let why: string | undefined;
  const end = (reason: string): void => {
    why ??= reason;
    void stopGroup(group, { termMs: TERM_MS, killMs: KILL_MS }, clock);
  };
  const onAbort = (): void => end("it was given up");
  const timer = clock.after(run.timeoutMs, () => end(`it took longer than ${run.timeoutMs / 1000} s`));
  signal.addEventListener("abort", onAbort);
  const endLog = watchLog(run.logPath, clock);
  try {
    if (await supervised.mayStart(group)) letGo(child);
    else why ??= "it was given up";
    // Without the word it ends by itself.
    if (why !== undefined) child.stdio[3]?.destroy();
    const { code, killedBy } = await exited;
    const fate = await stopGroup(group, { termMs: 0, killMs: KILL_MS }, clock);
    if (fate.kind !== "gone") throw new StillThere(`its processes do not end: group ${group.pgid}`);
    if (why !== undefined) throw new ActFailed(why);
    if (code !== 0 && run.fineCodes?.includes(code ?? -1) !== true) {
      const line = await findTellingLine(run.logPath, outputStart);
      const what = `${run.words[0] ?? ""} ${describeExit(code, killedBy)}${line === undefined ? "" : `: ${line}`}`;
      throw new CommandFailed(`${what}; see ${run.logPath}`, code);
    }
    return { output: await endOf(output, clock) };
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", onAbort);
    child.stdio[3]?.destroy();
    child.stdout?.destroy();
    await endLog();
  }
}

const describeExit = (code: number | null, killedBy: string | null): string => {
  if (code === 127) return "was not found";
  return code === null ? `was ended by ${killedBy ?? "a signal"}` : `ended with exit code ${code}`;
};

function letGo(child: ChildProcess): void {
  const pipe = child.stdio[3];
  if (pipe !== null && pipe !== undefined && "write" in pipe) pipe.write("go\n");
}

interface Spawned {
  readonly child: ChildProcess;
  /** Where in the log its output begins, in bytes. */
  readonly outputStart: number;
}

async function spawnStopped(run: CommandRun, token: string): Promise<Spawned> {
  const prefix = (await canBindToParent()) ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
  const log = openSync(run.logPath, "a", 0o600);
  try {
    writeSync(log, `--- ${new Date().toISOString()} ${run.words.join(" ")}\n`);
    const outputStart = fstatSync(log).size;
    const child = spawn("/bin/sh", ["-c", SUPERVISOR, "sh", ...prefix, ...run.words], {
      // Leads a session and a process group of its own.
      detached: true,
      cwd: run.folder,
      stdio: ["ignore", run.isCaptured ? "pipe" : log, log, "pipe"],
      env: { ...process.env, [TOKEN_VARIABLE]: token },
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    // It may end before it was told anything.
    child.stdio[3]?.on("error", () => undefined);
    return { child, outputStart };
  } finally {
    closeSync(log);
  }
}

interface Exit {
  readonly code: number | null;
  readonly killedBy: string | null;
}

const waitForExit = (child: ChildProcess): Promise<Exit> =>
  new Promise((resolve) => void child.once("exit", (code, killedBy) => resolve({ code, killedBy })));

/** Ends with the last process that can write to it: ask for it when nothing of the command is left. */
function collect(stream: Readable | null): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  if (stream === null) return Promise.resolve("");
  stream.on("error", () => undefined);
  stream.on("data", (bytes: Buffer) => {
    if (length < MAX_OUTPUT_BYTES) pieces.push(bytes);
    length += bytes.length;
  });
  return new Promise((resolve) => void stream.once("close", () => resolve(Buffer.concat(pieces).toString("utf8"))));
}

/** How long the end of its output may come after the end of a command, in ms. */
const OUTPUT_MS = 1_000;

/** @throws StillThere where somebody keeps it open whom we cannot see: sudo(8), for one, clears the environment */
async function endOf(output: Promise<string>, clock: Clock): Promise<string> {
  const late = Promise.withResolvers<undefined>();
  const timer = clock.after(OUTPUT_MS, () => late.resolve(undefined));
  const text = await Promise.race([output, late.promise]);
  timer.cancel();
  if (text !== undefined) return text;
  throw new StillThere("it has ended, and something of it is left that keeps its output open");
}

let binding: Promise<boolean> | undefined;

/** Whether setpriv(1) can have the kernel kill a command whose supervisor was killed; that of busybox cannot. */
function canBindToParent(): Promise<boolean> {
  binding ??= new Promise((resolve) => {
    execFile("setpriv", ["--pdeathsig", "KILL", "--", "true"], (error) => resolve(error === null));
  });
  return binding;
}

/** First and longest wait before a command is tried again, in ms. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** @throws ActFailed of the last try, or of the first that more tries would not change: exit code `hopelessCode` */
export async function runWithRetries(
  run: CommandRun,
  retries: number,
  supervised: Supervised,
  clock: Clock,
  hopelessCode?: number,
): Promise<CommandEnd> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await runCommand(run, supervised, clock);
    } catch (error) {
      if (error instanceof StillThere) throw error;
      const isHopeless = error instanceof CommandFailed && error.exitCode !== null && error.exitCode === hopelessCode;
      if (tries >= retries || isHopeless || supervised.signal.aborted) throw error;
    }
    await wait(clock, Math.min(FIRST_RETRY_MS * 2 ** tries, LONGEST_RETRY_MS), supervised.signal);
  }
}
