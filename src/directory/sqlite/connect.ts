import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** How long a statement waits for another process, in ms. Only recovery after a crash and closing ever lock out readers. */
const BUSY_TIMEOUT_MS = 5_000;

/** Size of the log at which a commit has to check-point, in pages of 4 KiB: only if every quieter moment was missed. */
const FORCED_CHECKPOINT_PAGES = 32_768;

/** The log's file is cut to this length after a peak, in bytes. */
const LOG_BYTES = 64 * 1024 * 1024;

/** Page caches in KiB. Each commit makes those of other connections stale, so readers have little use for more. */
const WRITER_CACHE_KIB = 32 * 1024;
const READER_CACHE_KIB = 4 * 1024;

/**
 * Acknowledged means on the disk: `synchronous = FULL`. References are declared and not enforced: for each act that is
 * forgotten the whole history would be searched.
 */
export function connectWriter(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  db.exec(
    `PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -${WRITER_CACHE_KIB};
     PRAGMA wal_autocheckpoint = ${FORCED_CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${LOG_BYTES}`,
  );
  return db;
}

export function connectReader(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, readOnly: true });
  db.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}`);
  return db;
}

/** Moves what the log has into the database while others go on. Never waits for them. */
export function checkpoint(db: DatabaseSync): void {
  db.exec("PRAGMA wal_checkpoint(PASSIVE)");
}

/**
 * Watches over files that are open: what is written to one that was removed or replaced is gone with the process, and
 * without the lock's another daemon may have the directory by now.
 * To be called once they are open.
 * @returns the path of one that is not what was opened, if there is one
 */
export function watchFiles(path: string): () => string | undefined {
  const paths = [path, `${path}-wal`, `${path}.lock`];
  const opened = paths.map(identityOf);
  return () =>
    paths.find((each, index) => {
      const found = identityOf(each);
      // The log comes with the first commit.
      opened[index] ??= found;
      return found !== opened[index];
    });
}

const identityOf = (path: string): string | undefined => {
  const found = statSync(path, { throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
};
