import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { until } from "./until.ts";

/** A user to start a program as; only root can. */
export interface RunAs {
  readonly user: string;
  readonly group: string;
}

export interface DaemonOptions {
  readonly runAs?: RunAs;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How long SIGTERM may take before SIGKILL, in ms. */
  readonly stopTimeoutMs?: number;
}

/** A server in the foreground, with whatever children it has. */
export interface Daemon {
  readonly pid: number;
  /** What it wrote to stdout and stderr so far. */
  readonly output: () => string;
  isRunning(): boolean;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL for whatever is left. Resolves when no process of it is alive. */
  stop(): Promise<void>;
  /** SIGKILL to every process of it at once. Resolves when they are gone. */
  kill(): Promise<void>;
}

/** Starts a server that does not outlive this process, however this process ends. */
export function startDaemon(command: readonly string[], options: DaemonOptions = {}): Daemon {
  const [program = "", ...rest] = asUser(command, options.runAs);
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own: Postfix's master kills the one it is in, and we kill all of it.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command.join(" ")}`);
  tellKeeper("watch", pid);
  // A test that failed must be able to end; the keeper does the rest.
  child.unref();
  const read = collectOutput(child);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const hasEnded = (): true | undefined => (isRunning() ? undefined : true);
  const end = async (): Promise<void> => {
    killGroup(pid);
    await until(`${command[0]} has ended`, hasEnded);
    await until(`no process of ${command[0]} is left`, () => (isGroupAlive(pid) ? undefined : true));
    tellKeeper("forget", pid);
  };
  return {
    pid,
    output: read,
    isRunning,
    signal: (name) => void child.kill(name),
    async stop() {
      if (isRunning()) child.kill("SIGTERM");
      // Whoever does not end in time is killed like everybody else.
      await until("stopped", hasEnded, { withinMs: options.stopTimeoutMs ?? 10_000 }).catch(() => undefined);
      await end();
    },
    kill: end,
  };
}

function asUser(command: readonly string[], runAs: RunAs | undefined): string[] {
  if (runAs === undefined) return [...command];
  return ["setpriv", "--reuid", runAs.user, "--regid", runAs.group, "--init-groups", "--", ...command];
}

let keeper: Writable | undefined;

/** keeper.sh notices when we are gone, even by SIGKILL. */
function tellKeeper(verb: "watch" | "forget" | "keep" | "removed", what: number | string): void {
  if (keeper === undefined) {
    const child = spawn(join(import.meta.dirname, "keeper.sh"), {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    child.unref();
    const { stdin } = child;
    // Neither may keep this process from ending.
    if (stdin instanceof Socket) stdin.unref();
    keeper = stdin;
  }
  keeper.write(`${verb} ${what}\n`);
}

function collectOutput(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    if (stream instanceof Socket) stream.unref();
    stream?.on("data", (piece: string) => {
      text += piece;
    });
  }
  return () => text;
}

/** Whether any process of a group is alive. */
function isGroupAlive(groupId: number): boolean {
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    const [state, , group] = readStat(name) ?? [];
    return group === String(groupId) && state !== "Z";
  });
}

/** Fields of /proc/PID/stat from the third on: state, parent, process group. */
function readStat(pid: string): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field, the name in parentheses, may hold blanks. Source: proc(5).
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Kills all processes of a group in one step, so that none can start another meanwhile. */
function killGroup(groupId: number): void {
  try {
    process.kill(-groupId, "SIGKILL");
  } catch {
    // None is left.
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; any exit code is an answer. */
export function run(
  command: readonly string[],
  options: {
    readonly runAs?: RunAs;
    readonly input?: string | Buffer;
    readonly env?: Record<string, string>;
    /** Default: a minute. */
    readonly timeoutMs?: number;
  } = {},
): Promise<Ran> {
  const [program = "", ...rest] = asUser(command, options.runAs);
  return new Promise((resolve, reject) => {
    const { timeoutMs = 60_000, env } = options;
    const limits = { maxBuffer: 256 * 1024 * 1024, timeout: timeoutMs, env: { ...process.env, ...env } };
    const child = execFile(program, rest, limits, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === "number") resolve({ code, stdout, stderr });
      else reject(new Error(`${command.join(" ")}: ${error?.message}\n${stderr}`));
    });
    // A program that does not read its input may end first.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

/** @throws when the program fails */
export async function runOk(command: readonly string[], options: Parameters<typeof run>[1] = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, options);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}\n${stderr}${stdout}`);
  return stdout;
}

/**
 * A new folder below /tmp into which every user may look, as the servers run as users of their own.
 * It goes with this process, at the latest.
 */
export async function makeSearchableFolder(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `mailshunt-${name}-`));
  await chmod(folder, 0o755);
  tellKeeper("keep", folder);
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  tellKeeper("removed", folder);
}

/** Below those that Linux gives to whoever wants any: a server that starts again must find its own free. Source: ip(7). */
const PORTS = { from: 20_000, below: 32_768 } as const;

/** TCP ports of 127.0.0.1 that nobody listens on right now, all different. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  while (ports.length < count) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.below - PORTS.from));
    const server = await listenOn(port).catch(() => undefined);
    if (server === undefined) continue;
    servers.push(server);
    ports.push(port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listenOn(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
