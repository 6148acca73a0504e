import type { Clock } from "../../core/clock.ts";
import type { Answer, Table } from "../../tables/table.ts";

/** What a session asks: the tables of the configuration in force, by their names on the wire. */
export interface ServedTables {
  /** Undefined where no table has this name; that is logged. */
  find(wireName: string): Table | undefined;
  readonly clock: Clock;
  /** Tells that a lookup was answered; for the log and the metrics. @param waitedMs undefined: in the same turn */
  onLookup(wireName: string, key: string, answer: Answer, waitedMs: number | undefined): void;
  /** Tells that something was written, or not. */
  onWrite(wireName: string, keys: readonly string[], outcome: string): void;
}

/** Asks a table and hands on what it said, in the same turn where it can. */
export function askTable(tables: ServedTables, wireName: string, key: string, table: Table): Answer | Promise<Answer> {
  const answer = table.lookup(key);
  if (answer instanceof Promise) {
    const startMs = tables.clock.nowMs();
    return answer.then((late) => {
      tables.onLookup(wireName, key, late, tables.clock.nowMs() - startMs);
      return late;
    });
  }
  tables.onLookup(wireName, key, answer, undefined);
  return answer;
}
