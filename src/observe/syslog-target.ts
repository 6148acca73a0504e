import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { LogTarget } from "./log-target.ts";

/** Between two starts of a logger that dies, in ms: doubled from the first to the last. */
const FIRST_RESTART_MS = 500;
const LAST_RESTART_MS = 60_000;

/** A logger that lived this long, in ms, died of something new. */
const STABLE_MS = 60_000;

/** How long the logger may take to pass on what it has when we end, in ms. */
const CLOSE_LIMIT_MS = 2_000;

/** Longest line logger(1) sends in one piece, in bytes; its default is 1024. rsyslog's own default limit is 8 KiB. */
const MAX_MESSAGE = "8192";

export interface SyslogOptions {
  /** The program's name as syslog shows it. */
  readonly tag: string;
  readonly pid: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told once for each death of a logger, with what is known of it. */
  readonly onTrouble: (reason: string) => void;
  readonly firstRestartMs?: number;
}

/**
 * syslog's mail facility through logger(1), since Node has no unix datagram sockets. The child reads lines that carry
 * `<facility and severity>`; when it dies it is started again, later each time, and lines wait in the queue meanwhile.
 */
export function openSyslogTarget(options: SyslogOptions): LogTarget {
  const firstRestartMs = options.firstRestartMs ?? FIRST_RESTART_MS;
  let restartMs = firstRestartMs;
  let isClosing = false;
  let child: ChildProcess | undefined;
  /** What the queue waits to hear: how much of its last batch went. */
  let answer: ((byteCount: number) => void) | undefined;
  let batch: Buffer | undefined;

  function settle(byteCount: number): void {
    const waiting = answer;
    answer = undefined;
    batch = undefined;
    waiting?.(byteCount);
  }

  function start(): void {
    const startedAt = performance.now();
    const started = spawnLogger(options);
    let hasEnded = false;
    child = started;
    const ended = (reason: string): void => {
      if (hasEnded) return;
      hasEnded = true;
      child = undefined;
      if (isClosing) return settle(0);
      if (performance.now() - startedAt >= STABLE_MS) restartMs = firstRestartMs;
      options.onTrouble(`${reason}, started again in ${restartMs} ms`);
      setTimeout(start, restartMs).unref();
      restartMs = Math.min(restartMs * 2, LAST_RESTART_MS);
    };
    started.on("error", (error) => ended(`logger cannot be started: ${error.message}`));
    started.on("exit", (code, signal) => ended(`logger ended with ${signal ?? `exit code ${code}`}`));
    started.stdin?.on("error", () => {}); // each write's callback hears of it
    started.unref();
    if (batch !== undefined) write(started, batch);
  }

  function write(to: ChildProcess, bytes: Buffer): void {
    to.stdin?.write(bytes, (error) => {
      // A batch that a dead logger did not take goes to the next one.
      if (!error && batch === bytes) settle(bytes.length);
    });
  }

  start();
  return {
    send(bytes, sent) {
      if (isClosing) return sent(bytes.length);
      answer = sent;
      batch = bytes;
      if (child !== undefined) write(child, bytes);
    },
    sendNow: () => 0,
    reopen() {},
    close() {
      isClosing = true;
      return endLogger(child);
    },
  };
}

function spawnLogger(options: SyslogOptions): ChildProcess {
  const { NOTIFY_SOCKET: _, ...environment } = options.environment;
  return spawn(
    "logger",
    ["--prio-prefix", "--priority", "mail.info", "--tag", options.tag, `--id=${options.pid}`, "--size", MAX_MESSAGE],
    // A session of its own: Ctrl-C on our terminal must not end it before we have said our last words.
    { detached: true, stdio: ["pipe", "ignore", "ignore"], env: environment, cwd: "/" },
  );
}

function endLogger(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, CLOSE_LIMIT_MS);
    child.once("exit", () => {
      clearTimeout(limit);
      resolve();
    });
    child.stdin?.end();
  });
}
