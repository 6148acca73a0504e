import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../core/clock.ts";
import type { CommandGroup } from "./command-group.ts";

/** In the environment of every process of a command: tells whose group it is when its leader is gone. */
export const TOKEN_VARIABLE = "MAILSHUNT_COMMAND";

interface ProcessLine {
  readonly pid: number;
  readonly state: string;
  readonly pgrp: number;
  readonly startTicks: string;
}

export type GroupFate =
  | { readonly kind: "gone" }
  | { readonly kind: "alive" }
  /** Somebody has that number, and nothing tells who: it must not be killed, nor be taken for gone. */
  | { readonly kind: "unknown"; readonly why: string };

const GONE: GroupFate = { kind: "gone" };

/** @throws Error where there is no /proc: moves by commands need Linux */
export function describeLeader(pid: number, token: string): CommandGroup {
  const leader = readProcess(pid);
  if (leader === undefined) throw new Error(`process ${pid} is not in /proc`);
  return { pgid: pid, startTicks: leader.startTicks, bootId: readBootId(), token };
}

/** Zombies count as gone: they do nothing any more, but for waiting to be buried. Those that left the group are not seen. */
export function inspectGroup(command: CommandGroup): GroupFate {
  // To the system 0 and -1 are ourselves and everybody.
  if (!Number.isSafeInteger(command.pgid) || command.pgid <= 1)
    throw new RangeError(`no process group: ${command.pgid}`);
  if (command.bootId !== readBootId() || !existsGroup(command.pgid)) return GONE;
  const leader = readProcess(command.pgid);
  // A number is given anew only when neither a process nor a group has it: so ours has ended.
  if (leader !== undefined && leader.startTicks !== command.startTicks) return GONE;
  const group = listProcesses().filter(({ pgrp }) => pgrp === command.pgid);
  // Somebody is in it whom /proc does not show, such as another user's process under `hidepid`; or it went just now.
  if (group.length === 0)
    return existsGroup(command.pgid)
      ? { kind: "unknown", why: `who is in process group ${command.pgid} is hidden` }
      : GONE;
  const members = group.filter((line) => !isDead(line));
  if (members.length === 0) return GONE;
  if (leader !== undefined) return { kind: "alive" };
  const stranger = members.find(({ pid }) => !hasToken(pid, command.token));
  return stranger === undefined
    ? { kind: "alive" }
    : { kind: "unknown", why: `process ${stranger.pid} is in its process group ${command.pgid}, and may be another's` };
}

/** Between two looks at a group that was killed, at first and at most, in ms: each look reads all of /proc. */
const FIRST_LOOK_MS = 5;
const LONGEST_LOOK_MS = 200;

export interface StopOptions {
  /** How long it may take to end by itself after SIGTERM, in ms; 0: it is killed at once. */
  readonly termMs: number;
  /** How long after SIGKILL until we give up, in ms. */
  readonly killMs: number;
}

/** @returns whether it is proven gone */
export async function stopGroup(
  command: CommandGroup,
  { termMs, killMs }: StopOptions,
  clock: Clock,
): Promise<GroupFate> {
  const stages = [
    { signal: "SIGTERM", waitMs: termMs },
    { signal: "SIGKILL", waitMs: killMs },
  ] as const;
  for (const { signal, waitMs } of stages) {
    if (waitMs === 0) continue;
    const untilMs = clock.nowMs() + waitMs;
    for (let looks = 0; looks === 0 || clock.nowMs() < untilMs; looks += 1) {
      const fate = inspectGroup(command);
      const strays = await findStrays(command);
      if (fate.kind === "gone" && strays.length === 0) return fate;
      // SIGKILL again each time: one of them may have forked just before.
      // One that is just dying has no environment any more, and is unknown for a moment.
      if (looks === 0 || signal === "SIGKILL") {
        if (fate.kind === "alive") send(-command.pgid, signal);
        for (const pid of strays) send(pid, signal);
      }
      const lookMs = Math.min(FIRST_LOOK_MS * 2 ** looks, LONGEST_LOOK_MS);
      await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
    }
  }
  const fate = inspectGroup(command);
  return fate.kind === "gone" && (await findStrays(command)).length > 0 ? { kind: "alive" } : fate;
}

/** Processes read in one turn: half a ms. */
const LOOKS_PER_TURN = 32;

/** Processes of the command that left its group, as setsid(1) and daemons do. One that cleared its environment is not found. */
async function findStrays({ pgid, bootId: ofBoot, startTicks, token }: CommandGroup): Promise<readonly number[]> {
  if (ofBoot !== readBootId()) return [];
  const strays: number[] = [];
  for (const [at, pid] of listPids().entries()) {
    if (at % LOOKS_PER_TURN === LOOKS_PER_TURN - 1) await turn();
    const line = readProcess(pid);
    if (line === undefined || isDead(line) || line.pgrp === pgid || BigInt(line.startTicks) < BigInt(startTicks))
      continue;
    if (hasToken(pid, token)) strays.push(pid);
  }
  return strays;
}

/** @param id of a process, or that of a group below 0 */
function send(id: number, signal: NodeJS.Signals): void {
  try {
    process.kill(id, signal);
  } catch {
    // Gone meanwhile, or not ours to kill: the next look tells.
  }
}

function existsGroup(pgid: number): boolean {
  try {
    process.kill(-pgid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

const listPids = (): readonly number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

const listProcesses = (): readonly ProcessLine[] =>
  listPids()
    .map((pid) => readProcess(pid))
    .filter((line) => line !== undefined);

const isDead = ({ state }: ProcessLine): boolean => state === "Z" || state === "X";

/** Of a process's line in /proc, with room to spare: a name of 64 characters and 51 numbers, most of them small. */
const MAX_LINE_BYTES = 2_048;

/** One for all: `readFileSync` takes 64 KiB for each file whose size it cannot know, and there may be thousands of processes. */
const lineBytes = Buffer.alloc(MAX_LINE_BYTES);

/** Undefined where there is no such process. The name in brackets may contain anything, brackets too: proc(5). */
function readProcess(pid: number): ProcessLine | undefined {
  let text: string;
  try {
    const file = openSync(`/proc/${pid}/stat`, "r");
    try {
      text = lineBytes.toString("latin1", 0, readSync(file, lineBytes));
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
  const [state, , pgrp, ...rest] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // Field 22, where `rest` begins with field 6.
  const startTicks = rest[16];
  if (state === undefined || startTicks === undefined) return undefined;
  return { pid, state, pgrp: Number(pgrp), startTicks };
}

function hasToken(pid: number, token: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(`${TOKEN_VARIABLE}=${token}`);
  } catch {
    return false;
  }
}

let bootId: string | undefined;

function readBootId(): string {
  bootId ??= readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return bootId;
}
