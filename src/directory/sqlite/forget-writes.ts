import type { DatabaseSync } from "node:sqlite";
import { prepareQuery } from "./query.ts";

/** How long one batch may keep other writes waiting, in ms, its commit excepted; looked at after so many rows. */
const BATCH_MS = 5;
const LOOK_EVERY = 16;

/** Rows read in one go. */
const PAGE_ROWS = 500;

/** Where forgetting goes on. History has no index by time: all of it is read, which takes 1 µs a row. */
export type ForgetStep =
  | { readonly kind: "moves"; readonly afterMs: number; readonly afterNumber: number }
  /** Looks for the first act that stays. Acts are in order of time, but for clocks that were set back. */
  | { readonly kind: "acts"; readonly afterAct: number }
  | { readonly kind: "history"; readonly firstKept: number; readonly afterUser: string; readonly afterAct: number }
  | { readonly kind: "old-acts"; readonly firstKept: number };

export const FIRST_STEP: ForgetStep = { kind: "moves", afterMs: -1, afterNumber: 0 };

export interface ForgetResult {
  readonly changes: number;
  readonly moves: number;
  /** Undefined: that was all. */
  readonly next: ForgetStep | undefined;
}

export interface Forgetter {
  forgetBatch(step: ForgetStep, beforeMs: number): ForgetResult;
}

export function createForgetter(db: DatabaseSync): Forgetter {
  const endedMoves = prepareQuery<[number: number, changedMs: number, user: string, switchedMs: number | null]>(
    db,
    `SELECT number, changed_ms, user, switched_ms FROM moves
     WHERE is_active = 0 AND (changed_ms, number) > (?, ?) AND changed_ms < ? ORDER BY changed_ms, number LIMIT ${PAGE_ROWS}`,
  );
  const lastSwitched = prepareQuery<[number]>(
    db,
    `SELECT number FROM moves WHERE user = ? AND switched_ms IS NOT NULL
     ORDER BY switched_ms DESC, number DESC LIMIT 1`,
  );
  const deleteJournal = db.prepare("DELETE FROM journal WHERE move = ?");
  const deleteMove = db.prepare("DELETE FROM moves WHERE number = ?");
  const acts = prepareQuery<[id: number, atMs: number]>(
    db,
    `SELECT id, at_ms FROM acts WHERE id > ? ORDER BY id LIMIT ${PAGE_ROWS}`,
  );
  const changes = prepareQuery<[user: string, act: number]>(
    db,
    `SELECT user, act FROM history WHERE (user, act) > (?, ?) ORDER BY user, act LIMIT ${PAGE_ROWS}`,
  );
  const deleteChange = db.prepare("DELETE FROM history WHERE user = ? AND act = ?");
  const deleteActs = db.prepare(
    `DELETE FROM acts WHERE id IN (SELECT id FROM acts WHERE id < ? ORDER BY id LIMIT ${PAGE_ROWS})`,
  );

  /** Each page and each row as long as there is time. @returns whether that was all */
  function forEachRow<Row>(read: () => readonly Row[], act: (row: Row) => "go on" | "enough"): boolean {
    const endMs = performance.now() + BATCH_MS;
    let count = 0;
    for (;;) {
      const rows = read();
      for (const row of rows) {
        if (act(row) === "enough") return true;
        count += 1;
        if (count % LOOK_EVERY === 0 && performance.now() >= endMs) return false;
      }
      if (rows.length < PAGE_ROWS) return true;
    }
  }

  function forgetMoves(step: ForgetStep & { kind: "moves" }, beforeMs: number): ForgetResult {
    let { afterMs, afterNumber } = step;
    let moves = 0;
    const isAll = forEachRow(
      () => endedMoves.all(afterMs, afterNumber, beforeMs),
      ([number, changedMs, user, switchedMs]) => {
        afterMs = changedMs;
        afterNumber = number;
        if (switchedMs !== null && lastSwitched.one(user)?.[0] === number) return "go on";
        deleteJournal.run(number);
        deleteMove.run(number);
        moves += 1;
        return "go on";
      },
    );
    const next: ForgetStep = isAll ? { kind: "acts", afterAct: 0 } : { kind: "moves", afterMs, afterNumber };
    return { changes: 0, moves, next };
  }

  function findKept({ afterAct }: ForgetStep & { kind: "acts" }, beforeMs: number): ForgetResult {
    let lastOld = afterAct;
    const isAll = forEachRow(
      () => acts.all(lastOld),
      ([id, atMs]) => {
        if (atMs >= beforeMs) return "enough";
        lastOld = id;
        return "go on";
      },
    );
    if (!isAll) return { changes: 0, moves: 0, next: { kind: "acts", afterAct: lastOld } };
    const next: ForgetStep = { kind: "history", firstKept: lastOld + 1, afterUser: "", afterAct: 0 };
    return { changes: 0, moves: 0, next: lastOld === 0 ? undefined : next };
  }

  function forgetChanges(step: ForgetStep & { kind: "history" }): ForgetResult {
    const { firstKept } = step;
    let { afterUser, afterAct } = step;
    let forgotten = 0;
    const isAll = forEachRow(
      () => changes.all(afterUser, afterAct),
      ([user, act]) => {
        afterUser = user;
        afterAct = act;
        if (act >= firstKept) return "go on";
        deleteChange.run(user, act);
        forgotten += 1;
        return "go on";
      },
    );
    const next: ForgetStep = isAll
      ? { kind: "old-acts", firstKept }
      : { kind: "history", firstKept, afterUser, afterAct };
    return { changes: forgotten, moves: 0, next };
  }

  return {
    forgetBatch(step, beforeMs) {
      switch (step.kind) {
        case "moves":
          return forgetMoves(step, beforeMs);
        case "acts":
          return findKept(step, beforeMs);
        case "history":
          return forgetChanges(step);
        case "old-acts": {
          const { changes: deleted } = deleteActs.run(step.firstKept);
          return { changes: 0, moves: 0, next: Number(deleted) < PAGE_ROWS ? undefined : step };
        }
      }
    },
  };
}
