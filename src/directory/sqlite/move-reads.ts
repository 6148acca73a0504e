import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { JournalEntry, Move, MoveFilter, MoveReads, Switched } from "../directory.ts";
import { guarded } from "./fault.ts";
import { prepareQuery } from "./query.ts";
import type { Query } from "./query.ts";
import { pageLimit } from "./rows.ts";

type MoveRow = [
  number: number,
  id: string,
  user: string,
  from: string,
  to: string,
  optionsJson: string,
  state: string,
  isActive: 0 | 1,
  createdMs: number,
  changedMs: number,
];

const SELECT_MOVES = `SELECT number, id, user, from_backend, to_backend, options_json, state, is_active, created_ms,
  changed_ms FROM moves`;

const toMove = ([number, id, user, from, to, optionsJson, state, isActive, createdMs, changedMs]: MoveRow): Move => ({
  number,
  id,
  user,
  from,
  to,
  optionsJson,
  state,
  isActive: isActive === 1,
  createdMs,
  changedMs,
});

/** What each filter adds to the query, and what it is compared with. */
function conditionsOf(filter: MoveFilter): readonly (readonly [sql: string, value: SQLInputValue])[] {
  const { states, isActive, user, from, to, afterNumber } = filter;
  const given: (readonly [string, SQLInputValue | undefined])[] = [
    ["number > ?", afterNumber ?? 0],
    ["state IN (SELECT value FROM json_each(?))", states === undefined ? undefined : JSON.stringify(states)],
    // Written out, or the index of active moves would not be used.
    [isActive === true ? "is_active = 1 AND ?" : "is_active = 0 AND ?", isActive === undefined ? undefined : 1],
    ["user = ?", user],
    ["from_backend = ?", from],
    ["to_backend = ?", to],
  ];
  return given.flatMap(([sql, value]) => (value === undefined ? [] : [[sql, value] as const]));
}

export function createMoveReads(db: DatabaseSync, path: string): MoveReads {
  const byId = prepareQuery<MoveRow>(db, `${SELECT_MOVES} WHERE id = ?`);
  const activeOf = prepareQuery<MoveRow>(db, `${SELECT_MOVES} WHERE user = ? AND is_active = 1`);
  const switched = prepareQuery<[id: string, from: string, to: string, atMs: number]>(
    db,
    `SELECT id, from_backend, to_backend, switched_ms FROM moves
     WHERE user = ? AND switched_ms IS NOT NULL ORDER BY switched_ms DESC, number DESC LIMIT 1`,
  );
  const activeCounts = prepareQuery<[string, number]>(
    db,
    "SELECT state, count(*) FROM moves WHERE is_active = 1 GROUP BY state",
  );
  const journal = prepareQuery<[number, number, string]>(
    db,
    `SELECT position, at_ms, entry_json FROM journal
     WHERE move = (SELECT number FROM moves WHERE id = ?) ORDER BY position`,
  );
  /** One for each combination of filters. */
  const lists = new Map<string, Query<MoveRow>>();

  function listQuery(conditions: readonly string[]): Query<MoveRow> {
    const sql = `${SELECT_MOVES} WHERE ${conditions.join(" AND ")} ORDER BY number LIMIT ?`;
    const query = lists.get(sql) ?? prepareQuery<MoveRow>(db, sql);
    lists.set(sql, query);
    return query;
  }

  const one = (row: MoveRow | undefined): Move | undefined => (row === undefined ? undefined : toMove(row));
  return {
    find: (moveId) => guarded(path, () => one(byId.one(moveId))),
    findActive: (user) => guarded(path, () => one(activeOf.one(user))),
    findSwitched(user): Switched | undefined {
      const row = guarded(path, () => switched.one(user));
      if (row === undefined) return undefined;
      const [moveId, from, to, atMs] = row;
      return { moveId, user, from, to, atMs };
    },
    countActive: () => new Map(guarded(path, () => activeCounts.all())),
    list(filter = {}) {
      const conditions = conditionsOf(filter);
      const values = conditions.map(([, value]) => value);
      return guarded(path, () =>
        listQuery(conditions.map(([sql]) => sql))
          .all(...values, pageLimit(filter.limit))
          .map(toMove),
      );
    },
    journal: (moveId) =>
      guarded(path, () =>
        journal.all(moveId).map(([position, atMs, entryJson]): JournalEntry => ({ position, atMs, entryJson })),
      ),
  };
}
