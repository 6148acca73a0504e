import type { DatabaseSync } from "node:sqlite";
import type { Hold, NewHold, Release, ReleaseResult, UncertainDelivery } from "../directory.ts";
import { ownerOfMove } from "../names.ts";
import type { Act, RecordChange } from "./history-writes.ts";
import { prepareQuery } from "./query.ts";
import { HOLD_COLUMNS, toHold } from "./rows.ts";
import type { HoldRow } from "./rows.ts";

export interface HoldWriter {
  placeHold(hold: NewHold, act: Act): Hold;
  releaseHold(release: Release, act: Act): ReleaseResult;
  findHold(user: string, owner: string): Hold | undefined;
}

export function createHoldWriter(db: DatabaseSync, openAct: (act: Act) => RecordChange): HoldWriter {
  const find = prepareQuery<HoldRow>(db, `SELECT ${HOLD_COLUMNS} FROM holds WHERE user = ? AND owner = ?`);
  const nextGeneration = prepareQuery<[number]>(
    db,
    "UPDATE states SET value = value + 1 WHERE name = 'generation' RETURNING value",
  );
  const put = db.prepare(
    `INSERT INTO holds (user, owner, generation, reason, since_ms, deadline_ms) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (user, owner) DO UPDATE
     SET generation = excluded.generation, reason = excluded.reason, deadline_ms = excluded.deadline_ms`,
  );
  const remove = db.prepare("DELETE FROM holds WHERE user = ? AND owner = ?");
  const anyOf = prepareQuery<[number]>(db, "SELECT 1 FROM holds WHERE user = ? LIMIT 1");
  const activeMove = prepareQuery<[string]>(db, "SELECT id FROM moves WHERE user = ? AND is_active = 1");

  function findHold(user: string, owner: string): Hold | undefined {
    const row = find.one(user, owner);
    return row === undefined ? undefined : toHold(row);
  }

  return {
    findHold,

    placeHold({ user, owner, reason, deadlineMs }, act) {
      const earlier = findHold(user, owner);
      const sinceMs = earlier?.sinceMs ?? act.atMs;
      const generation = nextGeneration.one()?.[0] ?? 0;
      put.run(user, owner, generation, reason, sinceMs, deadlineMs);
      openAct(act)(user, "hold", earlier?.owner, owner);
      return { user, owner, generation, reason, sinceMs, deadlineMs };
    },

    releaseHold({ user, owner, generation }, act) {
      const hold = findHold(user, owner);
      if (hold === undefined || (generation !== undefined && generation !== hold.generation))
        return { kind: "not-held", found: hold };
      const [moveId] = activeMove.one(user) ?? [];
      if (moveId !== undefined && owner === ownerOfMove(moveId) && act.who !== owner)
        return { kind: "move-active", user, moveId };
      remove.run(user, owner);
      openAct(act)(user, "release", owner, undefined);
      return { kind: "released", hold, isStillHeld: anyOf.one(user) !== undefined };
    },
  };
}

export interface UncertainWriter {
  addUncertain(delivery: UncertainDelivery): void;
  addEveryone(atMs: number, why: string): void;
  forgetUncertain(beforeMs: number): number;
}

export function createUncertainWriter(db: DatabaseSync): UncertainWriter {
  const add = db.prepare("INSERT INTO uncertain (user, backend, session, at_ms) VALUES (?, ?, ?, ?)");
  const addEveryone = db.prepare("INSERT INTO uncertain_everyone (at_ms, why) VALUES (?, ?)");
  const forget = db.prepare("DELETE FROM uncertain WHERE at_ms < ?");
  const forgetEveryone = db.prepare("DELETE FROM uncertain_everyone WHERE at_ms < ?");
  return {
    addUncertain: ({ user, backend, session, atMs }) => void add.run(user, backend, session, atMs),
    addEveryone: (atMs, why) => void addEveryone.run(atMs, why),
    forgetUncertain: (beforeMs) => Number(forget.run(beforeMs).changes) + Number(forgetEveryone.run(beforeMs).changes),
  };
}
