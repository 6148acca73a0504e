import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { isAlive, sweepLeftovers } from "./leftovers.ts";
import { deliver, usedBytes } from "./maildir.ts";
import { mailboxName } from "./mailbox-name.ts";
import { messageNames } from "./message-names.ts";
import type { StoreOptions } from "./options.ts";
import { Spool, type Content } from "./spool.ts";
import { UserFile } from "./user-file.ts";

export type MailboxAnswer =
  | { readonly kind: "mailbox"; readonly maildir: string }
  | { readonly kind: "unknown" }
  | { readonly kind: "bad-name" }
  | { readonly kind: "full" };

export interface Store {
  readonly options: StoreOptions;
  /**
   * Where a recipient's mail goes.
   * @param declaredBytes what the client said the message has, 0 where it did not
   * @throws what the file system throws
   */
  findMailbox(address: string, declaredBytes: number): Promise<MailboxAnswer>;
  newSpool(onDrain: () => void): Spool;
  /**
   * Stores one copy. @returns its name, or undefined where the mailbox would have too much in it
   * @throws what the file system throws
   */
  save(maildir: string, prefix: Buffer, content: Content): Promise<string | undefined>;
}

/** Messages on their way in; no user's folder begins with a dot. */
const SPOOL_FOLDER = ".spool";

/**
 * Prepares a directory and removes what a store killed earlier left in it.
 * @throws what the file system throws
 */
export async function openStore(options: StoreOptions, clock: Clock, log: Log): Promise<Store> {
  const { directory, hostname, quotaBytes, users, unknown } = options;
  const spoolFolder = join(directory, SPOOL_FOLDER);
  await mkdir(spoolFolder, { recursive: true, mode: 0o700 });
  const removed = await sweepLeftovers(directory, spoolFolder, {
    hostname,
    nowMs: clock.wallMs(),
    // Nothing of our own is under way yet: a name with our process id is of one that had it before us.
    isAlive: (pid) => pid !== process.pid && isAlive(pid),
  });
  if (removed > 0)
    log.write({
      kind: "message",
      level: "notice",
      part: "store",
      text: `removed ${removed} unfinished messages below ${directory}/*/Maildir/tmp`,
    });

  const newName = messageNames(hostname, process.pid, () => clock.wallMs());
  const toName = (address: string): string | undefined => mailboxName(address, options);
  const userFile = users.kind === "file" ? new UserFile(users.path, toName) : undefined;
  // A mistyped path shows at once, not at the first message.
  await userFile?.has("");
  const inTurn = takeTurns();
  const isFull = async (maildir: string, moreBytes: number): Promise<boolean> =>
    quotaBytes !== undefined && (await usedBytes(maildir)) + moreBytes > quotaBytes;

  return {
    options,
    async findMailbox(address, declaredBytes) {
      const name = toName(address);
      if (name === undefined) return { kind: "bad-name" };
      if (unknown !== "accept" && userFile !== undefined && !(await userFile.has(name))) return { kind: "unknown" };
      const maildir = join(directory, name, "Maildir");
      // A message has a byte at least: a mailbox filled to the last one is full.
      return (await isFull(maildir, Math.max(declaredBytes, 1))) ? { kind: "full" } : { kind: "mailbox", maildir };
    },
    newSpool: (onDrain) => new Spool(join(spoolFolder, newName()), onDrain),
    save(maildir, prefix, content) {
      const save = async (): Promise<string | undefined> => {
        if (await isFull(maildir, prefix.length + content.bytes)) return undefined;
        return deliver(maildir, { prefix, content, uniqueName: newName() });
      };
      // Two at once would both find room that is there for one.
      return quotaBytes === undefined ? save() : inTurn(maildir, save);
    },
  };
}

/** Runs what has the same key one after the other. */
function takeTurns(): <Value>(key: string, run: () => Promise<Value>) => Promise<Value> {
  const last = new Map<string, Promise<unknown>>();
  return (key, run) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(run, run);
    last.set(key, mine);
    const forget = (): void => {
      if (last.get(key) === mine) last.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  };
}
