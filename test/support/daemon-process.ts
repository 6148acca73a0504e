import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** How long a daemon may take for anything, in ms: only a failing test waits so long. */
const PATIENCE_MS = 30_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of ours and what it said on stderr, which is its log. */
export interface MailshuntProcess {
  readonly pid: number;
  /** Everything on stderr so far. */
  output(): string;
  /** The next line that matches, among those that no call has passed yet. Rejects when the process ends without it. */
  nextLine(pattern: RegExp): Promise<string>;
  /** Whether a line matches among all so far. */
  hasLine(pattern: RegExp): boolean;
  signal(name: NodeJS.Signals): void;
  /** Everything on stdout so far. */
  stdout(): string;
  readonly exited: Promise<Exit>;
}

type Scope = { after(clean: () => unknown): void };

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Runs a command line of ours; it is gone with its test. */
export function startMailshunt(t: Scope, words: readonly string[], options: RunOptions = {}): MailshuntProcess {
  const child = spawn(process.execPath, [MAIN, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  const { pid } = child;
  assert.ok(pid !== undefined, "no process");
  let stderr = "";
  let stdout = "";
  /** Where the lines begin that no call has passed. */
  let from = 0;
  let exit: Exit | undefined;
  const watchers = new Set<() => void>();
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    for (const look of watchers) look();
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  // `close` comes when stderr has been read to its end.
  const exited = once(child, "close").then(([code, signal]: (number | string | null)[]): Exit => {
    exit = { code: code as Exit["code"], signal: signal as Exit["signal"] };
    for (const look of watchers) look();
    return exit;
  });
  t.after(() => {
    if (exit === undefined) child.kill("SIGKILL");
    // Whoever else holds them must not keep the test from ending.
    child.stderr.destroy();
    child.stdout.destroy();
    return exited;
  });

  const find = (pattern: RegExp, start: number): { line: string; end: number } | undefined => {
    for (let at = start; ;) {
      const end = stderr.indexOf("\n", at);
      if (end === -1) return undefined;
      const line = stderr.slice(at, end);
      if (pattern.test(line)) return { line, end: end + 1 };
      at = end + 1;
    }
  };

  return {
    pid,
    output: () => stderr,
    stdout: () => stdout,
    hasLine: (pattern) => find(pattern, 0) !== undefined,
    signal: (name) => void child.kill(name),
    exited,
    nextLine(pattern) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const found = find(pattern, from);
          if (found === undefined && exit === undefined) return;
          watchers.delete(look);
          clearTimeout(limit);
          if (found === undefined) return reject(new Error(`ended without ${String(pattern)}:\n${stderr}`));
          from = found.end;
          resolve(found.line);
        };
        const limit = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`no line like ${String(pattern)}:\n${stderr}`));
        }, PATIENCE_MS);
        watchers.add(look);
        look();
      });
    },
  };
}

export interface Finished extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of ours to its end. */
export async function runMailshunt(t: Scope, words: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const process = startMailshunt(t, words, options);
  const exit = await process.exited;
  return { ...exit, stdout: process.stdout(), stderr: process.output() };
}

/** What a test says of a configuration; all else has defaults. Values are YAML. */
export interface ConfigSketch {
  /** Of LMTP, unless they say `protocol: ` first. */
  readonly listeners: readonly string[];
  readonly backends: Readonly<Record<string, string>>;
  readonly users?: Readonly<Record<string, string>>;
  /** The table `users`, in braces, in place of that. */
  readonly usersTable?: string;
  readonly fallback?: string;
  /** Further top-level lines. */
  readonly more?: readonly string[];
}

/** By how many processes daemons serve in tests that say nothing of it; all else must hold for any number. */
const WORKERS = process.env["MAILSHUNT_TEST_WORKERS"];

/** The line of a configuration that says so, where it has none of its own. */
export const workersLines = (lines: readonly string[]): readonly string[] =>
  WORKERS === undefined || lines.some((line) => line.startsWith("process:"))
    ? []
    : [`process: { workers: ${WORKERS} }`];

/** Writes a file in the own format. @returns its path */
export function writeConfig(folder: string, sketch: ConfigSketch): string {
  const { listeners, backends, users = {}, usersTable, fallback, more = [] } = sketch;
  const path = join(folder, "mailshunt.yaml");
  const entries = Object.entries(users).map(([user, backend]) => `${user}: ${backend}`);
  const lines = [
    "version: 1",
    "listeners:",
    ...listeners.map((listener) => `  - { ${listener.startsWith("protocol:") ? "" : "protocol: lmtp, "}${listener} }`),
    "backends:",
    ...Object.entries(backends).map(([name, options]) => `  ${name}: { ${options} }`),
    "tables:",
    `  users: ${usersTable ?? `{ type: static, entries: { ${entries.join(", ")} } }`}`,
    `routing: { tables: [users]${fallback === undefined ? "" : `, fallback: ${fallback}`} }`,
    ...more,
    ...workersLines(more),
    "",
  ];
  writeFileSync(path, lines.join("\n"));
  return path;
}

/** Where the daemon says it listens, in the order of its configuration. */
export function addressesIn(readyLine: string): string[] {
  return (/listening on (.*)$/.exec(readyLine)?.[1] ?? "").split(", ");
}

/** The port of an address such as `127.0.0.1:2424`. */
export function portOf(address: string | undefined): number {
  return Number(/:(\d+)$/.exec(address ?? "")?.[1]);
}
