import { findGroup, findUser } from "../core/accounts.ts";

/** Node has it on POSIX systems; its published types do not. */
declare global {
  namespace NodeJS {
    interface Process {
      initgroups?: (user: string | number, extraGroup: string | number) => void;
    }
  }
}

/** We cannot run as the user that was asked for; the message says why. */
export class CannotBecomeUser extends Error {
  override readonly name = "CannotBecomeUser";
  readonly code = "CANNOT_BECOME_USER";
}

export interface Identity {
  readonly name: string | undefined;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom to become, or undefined if we are that already or nobody was asked for.
 * @throws CannotBecomeUser for an unknown name, or if we are not root and somebody else
 */
export async function findIdentity(user: string | undefined, group: string | undefined): Promise<Identity | undefined> {
  if (user === undefined && group === undefined) return undefined;
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  const account = user === undefined ? { name: undefined, ...own } : await findUser(user);
  if (account === undefined) throw new CannotBecomeUser(`process.user: there is no user "${user}"`);
  const found = group === undefined ? undefined : await findGroup(group);
  if (group !== undefined && found === undefined)
    throw new CannotBecomeUser(`process.group: there is no group "${group}"`);
  const gid = found?.gid ?? account.gid;
  if (gid === undefined) throw new CannotBecomeUser(`process.group is needed: user id ${account.uid} has no account`);
  if (own.uid === account.uid && own.gid === gid) return undefined;
  if (own.uid === 0) return { name: account.name, uid: account.uid, gid };
  throw new CannotBecomeUser(
    `process.user asks for user id ${account.uid} and group id ${gid}, but we were started as ${own.uid} and ${own.gid}, ` +
      "and only root may change that: start as root, or as that user",
  );
}

/**
 * Gives up root for good: supplementary groups, group, then user.
 * @throws CannotBecomeUser
 */
export function becomeUser({ name, uid, gid }: Identity): void {
  try {
    if (name === undefined) process.setgroups?.([gid]);
    else process.initgroups?.(name, gid);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    throw new CannotBecomeUser(
      `cannot become user id ${uid}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (uid !== 0 && canBecomeRoot()) throw new CannotBecomeUser(`as user id ${uid} we could still become root again`);
}

function canBecomeRoot(): boolean {
  try {
    process.setuid?.(0);
    return true;
  } catch {
    return false;
  }
}
