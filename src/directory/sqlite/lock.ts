import { chmodSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { DirectoryFailed } from "../directory-failed.ts";
import { guarded, toDirectoryFailed } from "./fault.ts";

export interface DirectoryLock {
  release(): void;
}

/**
 * Makes this process the directory's only daemon: an exclusive transaction on a file of its own, for whose lock the kernel
 * answers. It dies with the process however that dies, no child inherits it, and readers never meet it.
 *
 * That lock goes with the first close of any descriptor of the file in this process (fcntl(2)), so nothing but SQLite
 * may ever open it, or the database. The process id stands in a file beside it, and is only for people.
 * @throws DirectoryFailed `DIRECTORY_LOCKED` when another has it
 */
export function lockDirectory(path: string): DirectoryLock {
  const lockPath = `${path}.lock`;
  const pidPath = `${path}.pid`;
  createPrivate(lockPath);
  const db = guarded(path, () => new DatabaseSync(lockPath, { timeout: 0 }));
  try {
    // Nothing is ever written to it, so there is nothing to roll back from a file.
    db.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    const fault = toDirectoryFailed(lockPath, error);
    if (!(fault instanceof DirectoryFailed) || fault.code !== "DIRECTORY_BUSY") throw fault;
    throw new DirectoryFailed("DIRECTORY_LOCKED", describeHolder(path, pidPath), { cause: error });
  }
  try {
    writePid(pidPath);
  } catch (error) {
    db.close();
    throw error;
  }
  return {
    release() {
      rmSync(pidPath, { force: true });
      db.close();
    },
  };
}

/** For its owner alone. An existing one is not even opened: see above. */
export function createPrivate(path: string): boolean {
  try {
    closeSync(openSync(path, "wx", 0o600));
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw new DirectoryFailed("DIRECTORY_NO_ACCESS", `cannot create ${path}: ${textOf(error)}`, { cause: error });
  }
}

function writePid(pidPath: string): void {
  try {
    writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
    chmodSync(pidPath, 0o600);
  } catch (error) {
    throw new DirectoryFailed("DIRECTORY_NO_ACCESS", `cannot write ${pidPath}: ${textOf(error)}`, { cause: error });
  }
}

function describeHolder(path: string, pidPath: string): string {
  const pid = readPid(pidPath);
  const holder = pid === undefined ? "another process" : `process ${pid}`;
  return `the directory ${path} is in use by ${holder}: there is one daemon for each directory, so stop that one first`;
}

/** Undefined where it is not known: what is there may be of a daemon that was killed. */
function readPid(pidPath: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidPath, "latin1").trim());
    return Number.isSafeInteger(pid) && pid > 0 && isAlive(pid) ? pid : undefined;
  } catch {
    return undefined;
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

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
