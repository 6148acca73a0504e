import { linkSync, readFileSync, readlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The pid file cannot be ours; the message says why. */
export class PidFileRefused extends Error {
  override readonly name = "PidFileRefused";
  readonly code = "PID_FILE_REFUSED";
}

export interface PidFile {
  /** Removes it if it is still ours, without waiting: for the `exit` event. */
  remove(): void;
}

/**
 * To be asked before anything is opened: a daemon that runs already is then named instead of its sockets.
 * @throws PidFileRefused while a daemon runs, or what is there is no pid file
 */
export function checkPidFile(path: string): void {
  const pid = readPid(path);
  if (pid === undefined || !isOneOfUs(pid)) return;
  throw new PidFileRefused(`already running as process ${pid}, says ${path}`);
}

/**
 * Writes our pid in one step, so that nobody ever reads half of it, and removes a stale file.
 * @throws PidFileRefused
 */
export function claimPidFile(path: string): PidFile {
  const text = `${process.pid}\n`;
  const draft = `${path}.${process.pid}`;
  try {
    writeDraft(draft, text);
    try {
      linkUnlessHeld(draft, path);
    } finally {
      unlinkSync(draft);
    }
  } catch (error) {
    throw error instanceof PidFileRefused ? error : new PidFileRefused(reasonFor(path, error), { cause: error });
  }
  return {
    remove() {
      try {
        if (readFileSync(path, "latin1") === text) unlinkSync(path);
      } catch {
        // Gone already, or we dropped the right to remove it: the next start finds it stale.
      }
    },
  };
}

/**
 * Never through a link, which whoever owns the folder could plant there for root to follow. What a daemon of our number
 * left behind when it was killed is removed.
 */
function writeDraft(draft: string, text: string): void {
  const write = (): void => writeFileSync(draft, text, { mode: 0o644, flag: "wx" });
  try {
    write();
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    unlinkSync(draft);
    write();
  }
}

/** A hard link fails where a file is, so of two daemons that start at once only one has it. */
function linkUnlessHeld(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    checkPidFile(path);
    unlinkSync(path);
    linkSync(draft, path);
  }
}

/** Undefined where there is no file, or an empty one. */
function readPid(path: string): number | undefined {
  let text: string;
  try {
    text = readFileSync(path, "latin1").trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new PidFileRefused(reasonFor(path, error), { cause: error });
  }
  if (text === "") return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new PidFileRefused(`${path} holds no process id; it is left alone`);
  return Number(text);
}

/**
 * After a crash or a reboot the number may belong to anybody, in a container even to ourselves. Only a process that
 * looks like this daemon, or like the older lmtp-proxy, holds the file.
 */
function isOneOfUs(pid: number): boolean {
  if (pid === 0 || pid === process.pid || pid === process.ppid || !isAlive(pid)) return false;
  let commandLine: string[];
  try {
    commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return true; // nothing known of a live process: better no start than two daemons
  }
  const folder = workingFolder(pid);
  return commandLine.some(
    // Node makes argv[1] absolute, the system keeps it as it was written.
    (word) =>
      join(folder, word) === process.argv[1] ||
      word === process.argv[1] ||
      /(?:^|\/)(?:mailshunt|lmtp-proxy)(?:\.py)?$/.test(word),
  );
}

/** Empty where we have no right to know: that of another user's process. */
function workingFolder(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

function reasonFor(path: string, error: unknown): string {
  if (codeOf(error) === "ENOENT") return `the folder ${dirname(path)} for the pid file does not exist: create it`;
  return `cannot write the pid file ${path}: ${error instanceof Error ? error.message : String(error)}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
