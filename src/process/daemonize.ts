import { spawn } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { EXIT } from "../core/exit-codes.ts";

/** Set in the child: the descriptor on which it says that it is ready. */
const READY_FD_VARIABLE = "MAILSHUNT_READY_FD";
const READY_FD = 3;

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
