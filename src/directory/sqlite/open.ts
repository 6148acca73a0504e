import { closeSync, fsyncSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../core/clock.ts";
import type { Directory, DirectoryReader } from "../directory.ts";
import { DirectoryFailed } from "../directory-failed.ts";
import { connectReader, connectWriter } from "./connect.ts";
import { createDirectory } from "./sqlite-directory.ts";
import { guarded } from "./fault.ts";
import { createPrivate, lockDirectory } from "./lock.ts";
import { inTransaction, prepareQuery } from "./query.ts";
import { createReads } from "./reads.ts";
import { checkCurrent, migrate } from "./schema.ts";
import { createWriter } from "./writer.ts";

const UNCLEAN = "the daemon ended without closing the directory";

/**
 * For the one daemon. Creates what is missing, but no folder.
 * @throws DirectoryFailed
 */
export async function openSqliteDirectory(path: string, clock: Clock): Promise<Directory> {
  checkFolder(path);
  const lock = lockDirectory(path);
  let db: DatabaseSync | undefined;
  try {
    if (createPrivate(path)) syncFolder(dirname(path));
    const opened = guarded(path, () => connectWriter(path));
    db = opened;
    guarded(path, () => {
      migrate(opened, path);
      useLog(opened, path);
    });
    const startedUnclean = guarded(path, () => markOpen(opened, clock.wallMs()));
    return createDirectory({
      path,
      clock,
      reads: createReads(opened, path),
      writer: createWriter(path),
      startedUnclean,
      close() {
        try {
          guarded(path, () => markClosed(opened));
        } finally {
          opened.close();
          lock.release();
        }
      },
    });
  } catch (error) {
    db?.close();
    lock.release();
    throw error;
  }
}

/**
 * For other processes of the daemon that has it open.
 * @throws DirectoryFailed
 */
export function openSqliteReader(path: string): DirectoryReader {
  return guarded(path, () => {
    const db = connectReader(path);
    try {
      checkCurrent(db, path);
      return {
        ...createReads(db, path),
        close() {
          db.close();
          return Promise.resolve();
        },
      };
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

function checkFolder(path: string): void {
  const folder = dirname(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new DirectoryFailed(
      "DIRECTORY_MISSING",
      `there is no folder ${folder} for the directory: create it, and give it to the user of mailshunt`,
    );
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new DirectoryFailed("DIRECTORY_NO_ACCESS", `the directory ${path} has to be a file, and is a folder`);
}

/** A new file is only sure to be found after a power cut when its folder is on the disk. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Lets others read while one writes. SQLite refuses it where processes cannot share memory, as over a network. */
function useLog(db: DatabaseSync, path: string): void {
  const [mode] = prepareQuery<[string]>(db, "PRAGMA journal_mode = WAL").one() ?? [];
  if (mode !== "wal")
    throw new DirectoryFailed("DIRECTORY_ERROR", `the directory ${path} has to be on a local disk, not on a server's`);
}

/** @returns whether the last one that had it open did not close it. Everyone is uncertain from then on. */
function markOpen(db: DatabaseSync, nowMs: number): boolean {
  return inTransaction(db, () => {
    const [isOpen] = prepareQuery<[number]>(db, "SELECT value FROM states WHERE name = 'is_open'").one() ?? [];
    if (isOpen === 1) db.prepare("INSERT INTO uncertain_everyone (at_ms, why) VALUES (?, ?)").run(nowMs, UNCLEAN);
    else db.exec("UPDATE states SET value = 1 WHERE name = 'is_open'");
    return isOpen === 1;
  });
}

function markClosed(db: DatabaseSync): void {
  db.exec("UPDATE states SET value = 0 WHERE name = 'is_open'");
}
