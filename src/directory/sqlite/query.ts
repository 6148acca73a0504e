import type { DatabaseSync, SQLInputValue, SQLOutputValue } from "node:sqlite";

/** A statement that gives rows: each an array of its columns, in order. */
export interface Query<Row> {
  one(...given: SQLInputValue[]): Row | undefined;
  all(...given: SQLInputValue[]): Row[];
}

/** Rows are read to their end before it returns, so that no read transaction outlives the call. */
export function prepareQuery<Row extends readonly SQLOutputValue[]>(db: DatabaseSync, sql: string): Query<Row> {
  const statement = db.prepare(sql);
  statement.setReturnArrays(true);
  return {
    one: (...given) => statement.get(...given) as unknown as Row | undefined,
    all: (...given) => statement.all(...given) as unknown as Row[],
  };
}

/** Runs it as a whole or not at all. */
export function inTransaction<Value>(db: DatabaseSync, run: () => Value): Value {
  db.exec("BEGIN IMMEDIATE");
  try {
    const value = run();
    db.exec("COMMIT");
    return value;
  } catch (error) {
    // A full disk has rolled it back already.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
