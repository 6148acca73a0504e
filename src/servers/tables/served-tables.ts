import type { Answer, Table } from "../../tables/table.ts";

/** What a session asks: the tables of the configuration in force, by their names on the wire. */
export interface ServedTables {
  /** Undefined where no table has this name; that is logged. */
  find(wireName: string): Table | undefined;
  /** Tells that a lookup was answered; for the log. */
  onLookup(wireName: string, key: string, answer: Answer): void;
  /** Tells that something was written, or not. */
  onWrite(wireName: string, keys: readonly string[], outcome: string): void;
}

/** Asks a table and hands on what it said, in the same turn where it can. */
export function askTable(tables: ServedTables, wireName: string, key: string, table: Table): Answer | Promise<Answer> {
  const answer = table.lookup(key);
  if (answer instanceof Promise)
    return answer.then((late) => {
      tables.onLookup(wireName, key, late);
      return late;
    });
  tables.onLookup(wireName, key, answer);
  return answer;
}
