import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import type { BigIntStats, Stats } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { findGroup, findUser } from "../core/accounts.ts";
import { MAX_UNIX_PATH_BYTES } from "../core/endpoint.ts";
import { CannotListen, messageOf, systemCode } from "./cannot-listen.ts";

/** Who may connect to a unix socket; undefined leaves what the system gives. */
export interface SocketAccess {
  readonly owner: string | undefined;
  readonly group: string | undefined;
  /** Mode bits, such as 0o660. */
  readonly permissions: number | undefined;
}

export interface ResolvedAccess {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly permissions: number | undefined;
}

/** Which file it is, whatever its name is by now. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** Linux: names a file without opening it, which a socket does not allow. Node has no word for it. Source: open(2). */
const O_PATH = 0o10_000_000;

/** @throws CannotListen for a user or group that does not exist */
export async function resolveAccess(path: string, access: SocketAccess): Promise<ResolvedAccess> {
  const { owner, group, permissions } = access;
  const user = owner === undefined ? undefined : await findUser(owner);
  if (owner !== undefined && user === undefined) throw cannot(path, `there is no user "${owner}"`);
  const found = group === undefined ? undefined : await findGroup(group);
  if (group !== undefined && found === undefined) throw cannot(path, `there is no group "${group}"`);
  return { uid: user?.uid, gid: found?.gid, permissions };
}

/**
 * The folder may belong to a user who would have root chown something else, through a link or another file put there
 * meanwhile: only the very socket is touched.
 * @throws what chown(2) and chmod(2) say
 */
export function applyAccess(path: string, identity: FileIdentity, access: ResolvedAccess): void {
  const { uid = -1, gid = -1, permissions } = access;
  // Elsewhere there is neither O_PATH nor /proc, and the links are looked for by name.
  const fd = process.platform === "linux" ? openSync(path, O_PATH | constants.O_NOFOLLOW) : undefined;
  try {
    const found = fd === undefined ? lstatSync(path, { bigint: true }) : fstatSync(fd, { bigint: true });
    if (!found.isSocket() || found.nlink !== 1n || !isSame(found, identity))
      throw cannot(path, "the socket was replaced while its rights were set");
    const pinned = fd === undefined ? path : `/proc/self/fd/${fd}`;
    if (uid !== -1 || gid !== -1) chownSync(pinned, uid, gid);
    if (permissions !== undefined) chmodSync(pinned, permissions);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * Makes sure that a socket may be put at this path: nothing is there, or a socket that nobody serves any more.
 * @throws CannotListen where something lives there
 */
export async function checkPlace(path: string): Promise<void> {
  const found = look(path);
  if (found === undefined) return;
  if (!found.isSocket())
    throw cannot(path, "a file that is no socket is there; it is left alone: remove it, or choose another path");
  const code = await tryToConnect(path);
  if (code === "ECONNREFUSED" || code === "ENOENT") return;
  if (code === "EACCES" || code === "EPERM")
    throw cannot(path, "a socket is there that we have no right to connect to, so whether it is in use is unknown");
  throw cannot(path, "another process serves this socket: is the daemon already running?");
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw cannot(path, reasonForFolder(dirname(path), error), error);
  }
}

/** The system's code for why a connection failed; empty when there is somebody. */
function tryToConnect(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve("");
    });
    socket.on("error", (error) => resolve(systemCode(error)));
  });
}

/**
 * Lets `bind` make a socket at `path` so that nobody can connect before owner and mode are right: it is bound in a
 * folder of ours alone beside it, then renamed, which also replaces a stale one in one step.
 * @throws CannotListen, also for what `bind` throws
 */
export async function placeSocket(
  path: string,
  access: ResolvedAccess,
  bind: (boundPath: string) => Promise<void>,
): Promise<FileIdentity> {
  const folder = makePrivateFolder(path);
  const privatePath = join(folder, "s");
  // A name too long for sun_path is reached through the open folder.
  const folderFd =
    Buffer.byteLength(privatePath) > MAX_UNIX_PATH_BYTES ? openSync(folder, constants.O_DIRECTORY) : undefined;
  try {
    await bind(folderFd === undefined ? privatePath : `/proc/self/fd/${folderFd}/s`);
    const identity = identify(privatePath);
    setAccess(path, privatePath, identity, access);
    renameSync(privatePath, path);
    return identity;
  } catch (error) {
    removeQuietly(privatePath);
    throw error instanceof CannotListen ? error : cannot(path, messageOf(error), error);
  } finally {
    if (folderFd !== undefined) closeSync(folderFd);
    rmdirSync(folder);
  }
}

function makePrivateFolder(path: string): string {
  const folder = dirname(path);
  try {
    return mkdtempSync(join(folder, ".mailshunt-"));
  } catch (error) {
    throw cannot(path, reasonForFolder(folder, error), error);
  }
}

function reasonForFolder(folder: string, error: unknown): string {
  switch (systemCode(error)) {
    case "ENOENT":
      return `the folder ${folder} does not exist: create it, or under systemd use RuntimeDirectory=`;
    case "ENOTDIR":
      return `${folder} is not a folder`;
    case "EACCES":
    case "EPERM":
      return `user id ${process.geteuid?.() ?? "?"} has no right to create a socket in ${folder}`;
    case "EROFS":
      return `${folder} is on a file system that is read-only`;
    default:
      return messageOf(error);
  }
}

function setAccess(path: string, privatePath: string, identity: FileIdentity, access: ResolvedAccess): void {
  try {
    applyAccess(privatePath, identity, access);
  } catch (error) {
    if (systemCode(error) !== "EPERM") throw error;
    throw cannot(path, "only root may give the socket to another user, or to a group we are not in", error);
  }
}

export function identify(path: string): FileIdentity {
  const { dev, ino } = lstatSync(path, { bigint: true });
  return { device: dev, inode: ino };
}

function isSame(found: BigIntStats, identity: FileIdentity): boolean {
  return found.dev === identity.device && found.ino === identity.inode;
}

/**
 * Whose the file at `path` is by now. `unknown`: we have no right to look any more, as after giving up root for a socket
 * in a folder that is closed to others, such as Postfix's `private`.
 */
export function whoseIs(path: string, identity: FileIdentity): "ours" | "another's" | "gone" | "unknown" {
  try {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) return "gone";
    return isSame(found, identity) ? "ours" : "another's";
  } catch {
    return "unknown";
  }
}

export function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Not there, or no right to remove it any more: a stale socket is replaced at the next start.
  }
}

function cannot(path: string, reason: string, cause?: unknown): CannotListen {
  return new CannotListen({ kind: "unix", path }, reason, cause);
}
