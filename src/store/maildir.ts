import { mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Content } from "./spool.ts";

/** What a Maildir is made of. Source: maildir(5) of qmail. */
const PARTS = ["tmp", "new", "cur"] as const;

export interface MaildirMessage {
  /** Lines in front of the content, LF included. */
  readonly prefix: Buffer;
  readonly content: Content;
  /** Unique on this machine and for all time. */
  readonly uniqueName: string;
}

/**
 * Puts a message into a Maildir so that it is there for good and whole, or not at all: written below `tmp`, synced,
 * renamed into `new`, and the rename synced too.
 * @returns its name in `new`
 * @throws what the file system throws; then nothing is left in `new`
 */
export async function deliver(maildir: string, message: MaildirMessage): Promise<string> {
  const { prefix, content, uniqueName } = message;
  await makeMaildir(maildir);
  const draft = join(maildir, "tmp", uniqueName);
  // Maildir++: whoever counts a quota finds the size in the name.
  const name = `${uniqueName},S=${prefix.length + content.bytes}`;
  const final = join(maildir, "new", name);
  let isInNew = false;
  try {
    const file = await open(draft, "wx", 0o600);
    try {
      await file.appendFile(prefix);
      await content.copyTo(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, final);
    isInNew = true;
    await syncFolder(join(maildir, "new"));
  } catch (error) {
    await removeIfThere(isInNew ? final : draft);
    throw error;
  }
  return name;
}

/** Bytes of all messages, from their names where these tell. */
export async function usedBytes(maildir: string): Promise<number> {
  let total = 0;
  for (const part of ["new", "cur"]) {
    const folder = join(maildir, part);
    for (const name of await namesIn(folder)) {
      const size = /,S=(\d+)(?:[,:]|$)/.exec(name)?.[1];
      total += size === undefined ? await sizeOf(join(folder, name)) : Number(size);
    }
  }
  return total;
}

async function makeMaildir(maildir: string): Promise<void> {
  for (const part of PARTS) {
    const first = await mkdir(join(maildir, part), { recursive: true, mode: 0o700 });
    if (first === undefined) continue;
    // A new folder is safe when its parent's list of names is.
    for (let at = join(maildir, part); at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Readers move messages from `new` to `cur` and delete them while we look. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch {
    // What is left below tmp is swept up later; the failure that matters is the first one.
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
