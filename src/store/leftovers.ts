import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isMissing } from "./maildir.ts";
import { makerOf } from "./message-names.ts";

/** After this long nobody can still be writing a file below tmp, in ms: 36 hours. Source: maildir(5). */
const LEFTOVER_AFTER_MS = 36 * 3_600_000;

export interface LeftoverRules {
  readonly hostname: string;
  readonly nowMs: number;
  /** Whether a process of this machine may still be writing. */
  readonly isAlive: (pid: number) => boolean;
}

/**
 * Removes what died in the spool and below `tmp` of every Maildir of a store, and returns how many files that were.
 * A file whose maker ran on this machine and is gone is one, as is any that is old enough.
 */
export async function sweepLeftovers(directory: string, spoolFolder: string, rules: LeftoverRules): Promise<number> {
  let removed = 0;
  const sweep = async (folder: string): Promise<void> => {
    for (const name of await namesIn(folder)) if (await removeLeftover(join(folder, name), name, rules)) removed += 1;
  };
  await sweep(spoolFolder);
  for (const user of await readdir(directory)) await sweep(join(directory, user, "Maildir", "tmp"));
  return removed;
}

async function removeLeftover(path: string, name: string, rules: LeftoverRules): Promise<boolean> {
  const maker = makerOf(name);
  const isOrphan = maker !== undefined && maker.host === rules.hostname && !rules.isAlive(maker.pid);
  try {
    if (!isOrphan && rules.nowMs - (await stat(path)).mtimeMs < LEFTOVER_AFTER_MS) return false;
    await unlink(path);
    return true;
  } catch (error) {
    // Its writer has just finished it.
    if (isMissing(error)) return false;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return [];
    throw error;
  }
}

/** Whether a process has this id: kill(2) with signal 0. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
