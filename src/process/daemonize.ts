import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, readdirSync, writeSync } from "node:fs";
import { EXIT } from "../core/exit-codes.ts";

/** Set in the child: the descriptor on which it says that it is ready. */
const READY_FD_VARIABLE = "MAILSHUNT_READY_FD";
const READY_FD = 3;

/** Linux: of the flags in /proc/self/fdinfo, that a program we start does not get the descriptor. Source: proc(5). */
const O_CLOEXEC = 0o2_000_000;

/** What the daemon tells the command that started it in the background. */
export interface BackgroundParent {
  /** The command may end with success; our stderr, which was its, becomes /dev/null. */
  ready(): void;
}

/** The command that waits for us, if we were started by `runInBackground`. */
export function findBackgroundParent(environment: NodeJS.ProcessEnv): BackgroundParent | undefined {
  if (environment[READY_FD_VARIABLE] === undefined) return undefined;
  delete environment[READY_FD_VARIABLE];
  return {
    ready() {
      try {
        writeSync(READY_FD, "ready\n");
      } catch {
        // The command was killed meanwhile. We serve all the same.
      }
      closeSync(READY_FD);
      // The lowest free descriptor is the one just closed.
      closeSync(2);
      openSync("/dev/null", "w");
    },
  };
}

/**
 * Starts this very command again as the leader of a session of its own, as Node cannot fork, and waits for it.
 * @returns 0 once it is ready, else the exit code with which it ended; its stderr is ours until then
 */
export function runInBackground(): Promise<number> {
  closeInherited();
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: ["ignore", "ignore", "inherit", "pipe"],
    env: { ...process.env, [READY_FD_VARIABLE]: String(READY_FD) },
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGINT", forward);
  process.on("SIGTERM", forward);
  return new Promise((resolve) => {
    child.on("error", (error) => {
      process.stderr.write(`cannot start the daemon: ${error.message}\n`);
      resolve(EXIT.osError);
    });
    child.on("exit", (code, signal) => {
      if (signal !== null) process.stderr.write(`the daemon was ended by ${signal} before it was ready\n`);
      resolve(code === null || code === EXIT.ok ? EXIT.software : code);
    });
    child.stdio[READY_FD]?.once("data", () => {
      child.unref();
      resolve(EXIT.ok);
    });
  });
}

/**
 * A lock or a pipe of the script that started us must not be held as long as the daemon lives. Node keeps low and
 * adjacent descriptors from its children itself, but not one such as the 200 that flock(1) advises.
 */
function closeInherited(): void {
  for (const fd of openDescriptors()) {
    const flags = /^flags:\s*([0-7]+)$/m.exec(descriptorInfo(fd))?.[1];
    // Node opens all its own with it.
    if (fd > 2 && flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0) closeSync(fd);
  }
}

function openDescriptors(): readonly number[] {
  try {
    return readdirSync("/proc/self/fd").map(Number);
  } catch {
    return []; // no /proc: as Node does
  }
}

/** Empty for the one through which the folder was read: it is closed by now. */
function descriptorInfo(fd: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  } catch {
    return "";
  }
}
