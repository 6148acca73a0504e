import { statSync } from "node:fs";
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import type { Clock } from "../../core/clock.ts";
import { describeReadError } from "../../core/read-error.ts";
import { errorText } from "../error-text.ts";
import { StatementRefused } from "./connection.ts";
import type { Statement } from "./query.ts";
import { toText } from "./values.ts";
import type { SqlParameter, SqlRow } from "./values.ts";

/** How long we stand still for somebody else's lock, in ms: nothing else goes on meanwhile. */
const BUSY_TIMEOUT_MS = 50;

/** How often we look whether another file stands in place of the one that is open, in ms. */
const CHECK_EVERY_MS = 1_000;

/** Result codes. Source: sqlite.org/rescode.html; the low byte of an extended one is the primary one. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
/** PERM, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB: the file's fault, not the statement's. */
const BROKEN: ReadonlySet<number> = new Set([3, 7, 8, 10, 11, 13, 14, 15, 26]);

/** Somebody else has it locked. */
export class DatabaseLocked extends Error {
  override readonly name = "DatabaseLocked";
  readonly code = "DATABASE_LOCKED";
}

export interface SqliteFileOptions {
  readonly path: string;
  readonly isWritable: boolean;
}

interface Open {
  readonly database: DatabaseSync;
  readonly statements: Map<Statement, StatementSync>;
  /** Of the file: its device and number. */
  readonly identity: string;
}

/**
 * A database that is opened when it is needed, and again when another file stands in its place. A missing one is not made.
 * Everything throws StatementRefused, DatabaseLocked, or Error where the file is at fault.
 */
export class SqliteFile {
  readonly #options: SqliteFileOptions;
  readonly #clock: Clock;
  #open: Open | undefined;
  #checkedMs = 0;

  constructor(options: SqliteFileOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  select(statement: Statement, parameters: readonly SqlParameter[], maxRows: number): readonly SqlRow[] {
    return this.#attempt(() => {
      const rows: SqlRow[] = [];
      for (const row of this.#prepare(statement).iterate(...parameters)) {
        if (rows.length === maxRows) throw new StatementRefused(`the query gives more than ${maxRows} rows`);
        rows.push((row as unknown as readonly SQLOutputValue[]).map(toText));
      }
      return rows;
    });
  }

  /** @returns rows written */
  execute(statement: Statement, parameters: readonly SqlParameter[]): number {
    return this.#attempt(() => Number(this.#prepare(statement).run(...parameters).changes));
  }

  /** Without standing still for a lock. */
  begin(): void {
    this.#attempt(() => {
      const { database } = this.#database();
      database.exec("PRAGMA busy_timeout = 0");
      try {
        database.exec("BEGIN IMMEDIATE");
      } finally {
        database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      }
    });
  }

  command(sql: "COMMIT" | "ROLLBACK"): void {
    this.#attempt(() => this.#database().database.exec(sql));
  }

  close(): void {
    const { database } = this.#open ?? {};
    this.#open = undefined;
    database?.close();
  }

  #attempt<Result>(act: () => Result): Result {
    try {
      return act();
    } catch (error) {
      if (error instanceof StatementRefused) throw error;
      const result = resultCodeOf(error);
      if (result === SQLITE_BUSY || result === SQLITE_LOCKED)
        throw new DatabaseLocked(`${errorText(error)}: another process is writing`, { cause: error });
      // A TypeError is about a parameter, such as an integer of more than 64 bits.
      const isAnswer = error instanceof TypeError || (result !== undefined && !BROKEN.has(result));
      if (isAnswer) throw new StatementRefused(errorText(error));
      this.close();
      throw error;
    }
  }

  #prepare(statement: Statement): StatementSync {
    const { database, statements } = this.#database();
    const known = statements.get(statement);
    if (known !== undefined) return known;
    const prepared = database.prepare(statement.sql);
    statements.set(statement, prepared);
    return prepared;
  }

  #database(): Open {
    const nowMs = this.#clock.nowMs();
    if (this.#open !== undefined) {
      if (nowMs - this.#checkedMs < CHECK_EVERY_MS || this.#open.database.isTransaction) return this.#open;
      this.#checkedMs = nowMs;
      if (this.#identify() === this.#open.identity) return this.#open;
      this.close();
    }
    const identity = this.#identify();
    const { path, isWritable } = this.#options;
    // Loaded here, for the file of every command that knows table types would load it otherwise.
    const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
    const url = pathToFileURL(path);
    // "rw" makes no file, as opening it by its path would.
    url.searchParams.set("mode", isWritable ? "rw" : "ro");
    const options = { readOnly: !isWritable, readBigInts: true, returnArrays: true, timeout: BUSY_TIMEOUT_MS };
    this.#open = { database: new DatabaseSync(url, options), statements: new Map(), identity };
    this.#checkedMs = nowMs;
    return this.#open;
  }

  #identify(): string {
    try {
      const stats = statSync(this.#options.path);
      if (!stats.isFile()) throw new Error("it is not a file");
      return `${stats.dev}:${stats.ino}`;
    } catch (error) {
      this.close();
      throw new Error(describeReadError(error), { cause: error });
    }
  }
}

function resultCodeOf(error: unknown): number | undefined {
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
  return typeof code === "number" ? code & 0xff : undefined;
}
