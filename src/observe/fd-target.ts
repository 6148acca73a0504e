import { closeSync, constants, fchownSync, fstatSync, openSync, writeSync } from "node:fs";
import { CannotOpenLog, LogRefused } from "./cannot-open-log.ts";
import type { LogTarget } from "./log-target.ts";

/** How soon a full pipe or disk is tried again, in ms. */
const RETRY_MS = 50;

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
const OWN_STDERR = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
const NEW_FILE_MODE = 0o640;

const STDERR = 2;

/** Writes to stderr without ever waiting for its reader. */
export function openStderrTarget(): LogTarget {
  // A socket, as systemd gives, cannot be opened anew; Node's own stream does not block on one.
  if (isSocket(STDERR)) return stderrStreamTarget();
  return fdTarget(openOwnStderr());
}

/** Whom the daemon becomes, and the log is given to, so that it can be opened again after a rotation. */
export interface LogHeir {
  readonly uid: number;
  readonly gid: number;
}

/**
 * With an heir, the folder may be the heir's: while we are root, neither a symbolic nor a hard link that it planted may
 * lead us to a file of somebody else, which we would write to or give away.
 * @throws CannotOpenLog
 */
export function openFileTarget(path: string, heir?: LogHeir): LogTarget {
  return fdTarget(openForAppending(path, heir), path, heir);
}

function openForAppending(path: string, heir: LogHeir | undefined): number {
  if (heir === undefined || process.geteuid?.() !== 0) return open(path, APPEND);
  const fd = open(path, APPEND | constants.O_NOFOLLOW);
  try {
    giveTo(fd, heir);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw new CannotOpenLog(path, error);
  }
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags, NEW_FILE_MODE);
  } catch (error) {
    const isLink = error instanceof Error && "code" in error && error.code === "ELOOP";
    const isRefusal = isLink && (flags & constants.O_NOFOLLOW) !== 0;
    throw new CannotOpenLog(path, isRefusal ? new LogRefused("it is a symbolic link") : error);
  }
}

/** Only what root has made or an administrator has left to it: never a device, a pipe, or a third user's file. */
function giveTo(fd: number, { uid, gid }: LogHeir): void {
  const found = fstatSync(fd);
  if (!found.isFile()) return;
  if (found.nlink > 1) throw new LogRefused("it has a second name, by a hard link");
  if (found.uid === 0) fchownSync(fd, uid, gid);
}

/**
 * O_NONBLOCK belongs to the open file, which we share with our parent, so the pipe or terminal is opened anew; where
 * there is no /proc or no right to it, writes go to the shared one and may wait. A regular file never makes anybody
 * wait, and is not opened anew: others go on writing at the shared offset, over what we would append.
 */
function openOwnStderr(): number {
  try {
    if (fstatSync(STDERR).isFile()) return STDERR;
    return openSync(`/proc/self/fd/${STDERR}`, OWN_STDERR);
  } catch {
    return STDERR;
  }
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

/** Bytes written; 0 while a reader or a disk is full. A reader that is gone for good has "read" everything. */
function attempt(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPIPE" ? bytes.length : 0;
  }
}

function fdTarget(firstFd: number, path?: string, heir?: LogHeir): LogTarget {
  let fd = firstFd;
  return {
    send(bytes, sent) {
      const written = attempt(fd, bytes);
      if (written > 0) return sent(written);
      setTimeout(() => sent(attempt(fd, bytes)), RETRY_MS).unref();
    },
    sendNow: (bytes) => attempt(fd, bytes),
    reopen() {
      if (path === undefined) return;
      const old = fd;
      fd = openForAppending(path, heir);
      closeSync(old);
    },
    close() {
      if (fd !== STDERR) closeSync(fd);
      return Promise.resolve();
    },
  };
}

function stderrStreamTarget(): LogTarget {
  const stream = process.stderr;
  stream.on("error", () => {}); // each write's callback hears of it
  return {
    send: (bytes, sent) => void stream.write(bytes, () => sent(bytes.length)),
    sendNow: (bytes) => attempt(STDERR, bytes),
    reopen() {},
    close: () => Promise.resolve(),
  };
}
