import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer, Socket } from "node:net";
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
    // Postfix's master kills its process group when it ends; that must not be ours.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command.join(" ")}`);
  tellKeeper("watch", pid);
  // A test that failed must be able to end; the keeper does the rest.
  child.unref();
  const read = collectOutput(child);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const end = async (tree: readonly number[]): Promise<void> => {
    await until(`process ${pid} (${command[0]}) has ended`, () => (isRunning() ? undefined : true));
    killAll(tree.filter(isAlive));
    await until(`no process of ${command[0]} is left`, () => (tree.some(isAlive) ? undefined : true));
    tellKeeper("forget", pid);
  };
  return {
    pid,
    output: read,
    isRunning,
    signal: (name) => void child.kill(name),
    async stop() {
      const tree = processTree(pid);
      if (isRunning()) child.kill("SIGTERM");
      const ended = until("stopped", () => (isRunning() ? undefined : true), {
        withinMs: options.stopTimeoutMs ?? 10_000,
      });
      await ended.catch(() => killAll(tree));
      await end(tree);
    },
    async kill() {
      const tree = processTree(pid);
      killAll(tree);
      await end(tree);
    },
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

/** A process and all its descendants, oldest first. */
function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = readParent(pid);
    if (parent === undefined) continue;
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

function readStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field, the name in parentheses, may hold blanks. Source: proc(5).
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

function readParent(pid: number): number | undefined {
  const parent = readStat(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

function isAlive(pid: number): boolean {
  const state = readStat(pid)?.[0];
  return state !== undefined && state !== "Z";
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids)
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
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
  options: { readonly runAs?: RunAs; readonly input?: string | Buffer; readonly env?: Record<string, string> } = {},
): Promise<Ran> {
  const [program = "", ...rest] = asUser(command, options.runAs);
  return new Promise((resolve, reject) => {
    const limits = { maxBuffer: 256 * 1024 * 1024, timeout: 60_000, env: { ...process.env, ...options.env } };
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

/** TCP ports of 127.0.0.1 that nobody listens on right now, all different. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, "127.0.0.1", resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
    return address.port;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
