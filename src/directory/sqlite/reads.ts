import type { DatabaseSync } from "node:sqlite";
import type {
  Change,
  DirectoryReader,
  Hold,
  HistoryPage,
  HoldReads,
  Placement,
  Uncertain,
  UncertainReads,
} from "../directory.ts";
import { createBackendReads } from "./backend-writes.ts";
import { guarded } from "./fault.ts";
import { createMoveReads } from "./move-reads.ts";
import { prepareQuery } from "./query.ts";
import { HOLD_COLUMNS, pageLimit, toHold } from "./rows.ts";
import type { HoldRow } from "./rows.ts";
import { createUserReads } from "./user-reads.ts";

const NO_HOLDS: readonly Hold[] = [];

/** Every read is a statement of its own: it sees the newest commit of any process, and leaves no transaction open. */
export function createReads(db: DatabaseSync, path: string): Omit<DirectoryReader, "close"> {
  const find = placementReader(db, path);
  return {
    find,
    findBackend: (user) => find(user).backend,
    findHolds: (user) => find(user).holds,
    users: createUserReads(db, path),
    holds: createHoldReads(db, path),
    uncertain: createUncertainReads(db, path),
    moves: createMoveReads(db, path),
    backends: createBackendReads(db, path),
    history: historyReader(db, path),
  };
}

type PlacementRow = [backend: string | null, ...HoldRow] | [backend: string | null, ...null[]];

const hasHold = (row: PlacementRow): row is [string | null, ...HoldRow] => row[1] !== null;

function placementReader(db: DatabaseSync, path: string): (user: string) => Placement {
  // One statement for both, or the hold could be that of before a commit and the backend that of after it.
  const placement = prepareQuery<PlacementRow>(
    db,
    `SELECT backends.name, ${HOLD_COLUMNS}
     FROM (SELECT ?1 AS user) AS asked
     LEFT JOIN users ON users.user = asked.user
     LEFT JOIN backends ON backends.id = users.backend
     LEFT JOIN holds ON holds.user = asked.user`,
  );
  return (user) => {
    // Half a character would be asked for as U+FFFD, which may be another user's.
    const rows = user.isWellFormed() ? guarded(path, () => placement.all(user)) : [];
    const holds = rows.filter(hasHold).map(([, ...row]) => toHold(row));
    return {
      backend: rows[0]?.[0] ?? undefined,
      holds: holds.length === 0 ? NO_HOLDS : holds.sort((a, b) => a.generation - b.generation),
    };
  };
}

function createHoldReads(db: DatabaseSync, path: string): HoldReads {
  const list = prepareQuery<HoldRow>(
    db,
    `SELECT ${HOLD_COLUMNS} FROM holds WHERE generation > ? ORDER BY generation LIMIT ?`,
  );
  const expired = prepareQuery<HoldRow>(
    db,
    `SELECT ${HOLD_COLUMNS} FROM holds WHERE deadline_ms <= ? AND NOT EXISTS
       (SELECT 1 FROM moves WHERE moves.user = holds.user AND is_active = 1 AND holds.owner = 'move:' || moves.id)
     ORDER BY deadline_ms LIMIT ?`,
  );
  return {
    list: ({ afterGeneration = 0, limit } = {}) =>
      guarded(path, () => list.all(afterGeneration, pageLimit(limit)).map(toHold)),
    expired: (nowMs) => guarded(path, () => expired.all(nowMs, pageLimit(undefined)).map(toHold)),
  };
}

function createUncertainReads(db: DatabaseSync, path: string): UncertainReads {
  // One statement, for one state.
  const latest = prepareQuery<[backend: string | null, session: string | null, atMs: number, why: string | null]>(
    db,
    `SELECT * FROM (
       SELECT * FROM
         (SELECT backend, session, at_ms, NULL FROM uncertain WHERE user = ? ORDER BY at_ms DESC LIMIT 1)
       UNION ALL
       SELECT * FROM
         (SELECT NULL, NULL, at_ms, why FROM uncertain_everyone ORDER BY at_ms DESC LIMIT 1)
     ) ORDER BY at_ms DESC LIMIT 1`,
  );
  return {
    latest(user): Uncertain | undefined {
      const row = guarded(path, () => latest.one(user));
      if (row === undefined) return undefined;
      const [backend, session, atMs, why] = row;
      return backend === null || session === null
        ? { kind: "everyone", atMs, why: why ?? "" }
        : { kind: "delivery", user, backend, session, atMs };
    },
  };
}

type ChangeRow = [number, number, string, string, Change["what"], string | null, string | null];

function historyReader(db: DatabaseSync, path: string): DirectoryReader["history"] {
  const changes = prepareQuery<ChangeRow>(
    db,
    `SELECT acts.id, acts.at_ms, acts.who, acts.why, history.what, history.from_name, history.to_name
     FROM history JOIN acts ON acts.id = history.act
     WHERE history.user = ? AND history.act < ? ORDER BY history.act DESC LIMIT ?`,
  );
  return (user, { beforeId = Number.MAX_SAFE_INTEGER, limit }: HistoryPage = {}) =>
    guarded(path, () =>
      changes.all(user, beforeId, pageLimit(limit)).map(([id, atMs, who, why, what, from, to]) => ({
        id,
        atMs,
        who,
        why,
        user,
        what,
        from: from ?? undefined,
        to: to ?? undefined,
      })),
    );
}
