import type { DatabaseSync } from "node:sqlite";
import { DirectoryFailed } from "../directory-failed.ts";
import { inTransaction, prepareQuery } from "./query.ts";

/** Marks a file as ours: "msht". https://www.sqlite.org/pragma.html#pragma_application_id */
const APPLICATION_ID = 0x6d736874;

/** Each brings a directory from the version of its index to the next one. What was released is never edited. */
const MIGRATIONS: readonly string[] = [
  `
  -- Numbers that only grow, and flags.
  CREATE TABLE states (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO states (name, value) VALUES ('generation', 0), ('is_open', 0);

  -- The count is kept with each change: counting ten million users takes a second.
  CREATE TABLE backends (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, user_count INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE users (user TEXT PRIMARY KEY, backend INTEGER NOT NULL REFERENCES backends (id)) STRICT, WITHOUT ROWID;
  CREATE INDEX users_by_backend ON users (backend, user);

  CREATE TABLE holds (
    user TEXT NOT NULL,
    owner TEXT NOT NULL,
    generation INTEGER NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    deadline_ms INTEGER NOT NULL,
    PRIMARY KEY (user, owner)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX holds_by_deadline ON holds (deadline_ms);

  CREATE TABLE uncertain (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    backend TEXT NOT NULL,
    session TEXT NOT NULL,
    at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX uncertain_by_user ON uncertain (user, at_ms);
  CREATE INDEX uncertain_by_time ON uncertain (at_ms);
  CREATE TABLE uncertain_everyone (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, why TEXT NOT NULL) STRICT;

  CREATE TABLE moves (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    from_backend TEXT NOT NULL,
    to_backend TEXT NOT NULL,
    options_json TEXT NOT NULL,
    state TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    entry_count INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX moves_active_by_user ON moves (user) WHERE is_active = 1;
  CREATE INDEX moves_active ON moves (number) WHERE is_active = 1;
  CREATE INDEX moves_by_user ON moves (user);
  CREATE INDEX moves_by_state ON moves (state);
  CREATE TABLE journal (
    move INTEGER NOT NULL REFERENCES moves (number),
    position INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    entry_json TEXT NOT NULL,
    PRIMARY KEY (move, position)
  ) STRICT, WITHOUT ROWID;

  -- One act changes many users, each once.
  CREATE TABLE acts (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL) STRICT;
  CREATE TABLE history (
    user TEXT NOT NULL,
    act INTEGER NOT NULL REFERENCES acts (id),
    what TEXT NOT NULL,
    from_name TEXT,
    to_name TEXT,
    PRIMARY KEY (user, act)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Backends out of service, those that the configuration does not have included.
  CREATE TABLE disabled_backends (
    backend TEXT PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- When the cutover was. The last one of a user tells where the mailbox is.
  ALTER TABLE moves ADD COLUMN switched_ms INTEGER;
  UPDATE moves SET switched_ms = changed_ms WHERE state IN ('release', 'unlock', 'done');
  CREATE INDEX moves_switched ON moves (user, switched_ms) WHERE switched_ms IS NOT NULL;
  CREATE INDEX moves_ended ON moves (changed_ms) WHERE is_active = 0;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Makes a new directory of an empty file, and brings an older one to this version. */
export function migrate(db: DatabaseSync, path: string): void {
  for (let version = checkVersion(db, path); version < SCHEMA_VERSION; version += 1)
    inTransaction(db, () => {
      db.exec(MIGRATIONS[version] ?? "");
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version + 1}`);
    });
}

/** For who may not write. */
export function checkCurrent(db: DatabaseSync, path: string): void {
  const version = checkVersion(db, path);
  if (version === SCHEMA_VERSION) return;
  const why = version === 0 ? "is not ready" : "was written by an older mailshunt";
  throw new DirectoryFailed(
    "DIRECTORY_MISSING",
    `the directory ${path} ${why}: start mailshunt, which puts it in order`,
  );
}

/** @returns 0 for an empty file */
function checkVersion(db: DatabaseSync, path: string): number {
  const [applicationId] = prepareQuery<[number]>(db, "PRAGMA application_id").one() ?? [0];
  const [version] = prepareQuery<[number]>(db, "PRAGMA user_version").one() ?? [0];
  const [tables] = prepareQuery<[number]>(db, "SELECT count(*) FROM sqlite_schema").one() ?? [0];
  if (applicationId !== APPLICATION_ID && (applicationId !== 0 || version !== 0 || tables !== 0))
    throw new DirectoryFailed("DIRECTORY_CORRUPT", `${path} is the database of another program: name another file`);
  if (version > SCHEMA_VERSION)
    throw new DirectoryFailed(
      "DIRECTORY_NEWER",
      `the directory ${path} was written by a newer mailshunt (its format is ${version}, this one knows ${SCHEMA_VERSION}): install that version again`,
    );
  return version;
}
