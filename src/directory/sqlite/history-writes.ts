import type { DatabaseSync } from "node:sqlite";
import type { Author, Change } from "../directory.ts";
import { prepareQuery } from "./query.ts";

/** What stands in the history for a write. */
export interface Act extends Author {
  readonly atMs: number;
}

/** Of one act, each user once at most. */
export type RecordChange = (
  user: string,
  what: Change["what"],
  from: string | undefined,
  to: string | undefined,
) => void;

/** @returns what records the changes of an act; an act that changes nothing leaves no trace */
export function createHistoryWrites(db: DatabaseSync): (act: Act) => RecordChange {
  const addAct = prepareQuery<[number]>(db, "INSERT INTO acts (at_ms, who, why) VALUES (?, ?, ?) RETURNING id");
  const addChange = db.prepare("INSERT INTO history (user, act, what, from_name, to_name) VALUES (?, ?, ?, ?, ?)");
  return ({ atMs, who, why }) => {
    let actId: number | undefined;
    return (user, what, from, to) => {
      actId ??= addAct.one(atMs, who, why)?.[0] ?? 0;
      addChange.run(user, actId, what, from ?? null, to ?? null);
    };
  };
}
