import type { DatabaseSync } from "node:sqlite";
import type {
  AppendResult,
  CreateResult,
  Hold,
  Move,
  MoveActive,
  MoveStep,
  NewMove,
  Switch,
  SwitchResult,
} from "../directory.ts";
import { ownerOfMove } from "../names.ts";
import type { Act, RecordChange } from "./history-writes.ts";
import type { HoldWriter } from "./hold-writes.ts";
import { prepareQuery } from "./query.ts";
import type { UserWriter } from "./user-writes.ts";

export interface MoveWriter {
  createMoves(moves: readonly NewMove[], act: Act): CreateResult;
  appendStep(moveId: string, step: MoveStep, atMs: number): AppendResult;
  switchUser(cutover: Switch, act: Act): SwitchResult;
}

export interface MoveWriterParts {
  readonly db: DatabaseSync;
  readonly users: UserWriter;
  readonly holds: HoldWriter;
  readonly openAct: (act: Act) => RecordChange;
}

type MoveRow = [number: number, user: string, isActive: 0 | 1, entryCount: number];

export function createMoveWriter({ db, users, holds, openAct }: MoveWriterParts): MoveWriter {
  const find = prepareQuery<MoveRow>(db, "SELECT number, user, is_active, entry_count FROM moves WHERE id = ?");
  const activeMove = prepareQuery<[string]>(db, "SELECT id FROM moves WHERE user = ? AND is_active = 1");
  const insert = prepareQuery<[number]>(
    db,
    `INSERT INTO moves (id, user, from_backend, to_backend, options_json, state, is_active, created_ms, changed_ms,
       entry_count) VALUES (?, ?, ?, ?, ?, ?, 1, ?7, ?7, 0) RETURNING number`,
  );
  const update = db.prepare(
    "UPDATE moves SET state = ?, is_active = ?, changed_ms = ?, entry_count = ? WHERE number = ?",
  );
  const noteSwitch = db.prepare("UPDATE moves SET switched_ms = ? WHERE number = ?");
  const countEntry = db.prepare("UPDATE moves SET entry_count = ? WHERE number = ?");
  const insertEntry = db.prepare("INSERT INTO journal (move, position, at_ms, entry_json) VALUES (?, ?, ?, ?)");

  function findActive(user: string): MoveActive | undefined {
    const [moveId] = activeMove.one(user) ?? [];
    return moveId === undefined ? undefined : { kind: "move-active", user, moveId };
  }

  function createMove(move: NewMove, atMs: number): Move {
    const { entryJson, ...kept } = move;
    const { id, user, from, to, optionsJson, state } = kept;
    if (find.one(id) !== undefined) throw new RangeError(`there is a move ${id} already`);
    const number = insert.one(id, user, from, to, optionsJson, state, atMs)?.[0] ?? 0;
    if (entryJson !== undefined) {
      insertEntry.run(number, 1, atMs, entryJson);
      countEntry.run(1, number);
    }
    return { ...kept, number, isActive: true, createdMs: atMs, changedMs: atMs };
  }

  /** @returns the last entry's position */
  function write([number, , , entryCount]: MoveRow, step: MoveStep, atMs: number): number {
    const { earlierJson = [], entryJson, state, isActive } = step;
    let position = entryCount;
    for (const json of [...earlierJson, entryJson]) insertEntry.run(number, (position += 1), atMs, json);
    update.run(state, isActive ? 1 : 0, atMs, position, number);
    return position;
  }

  return {
    createMoves(moves, act) {
      const record = openAct(act);
      const created: Move[] = [];
      const refused: MoveActive[] = [];
      for (const move of moves) {
        const refusal = findActive(move.user);
        if (refusal !== undefined) {
          refused.push(refusal);
          continue;
        }
        created.push(createMove(move, act.atMs));
        record(move.user, "move", move.from, move.to);
      }
      return { created, refused };
    },

    appendStep(moveId, step, atMs) {
      const row = find.one(moveId);
      if (row === undefined) throw new RangeError(`there is no move ${moveId}`);
      const [, user, isActive] = row;
      const other = step.isActive && isActive === 0 ? findActive(user) : undefined;
      return other ?? { kind: "appended", position: write(row, step, atMs) };
    },

    switchUser({ moveId, backend, generation, nowMs, step }, act) {
      const row = find.one(moveId);
      if (row === undefined || row[2] === 0) throw new RangeError(`there is no active move ${moveId}`);
      const [, user] = row;
      const found = holds.findHold(user, ownerOfMove(moveId));
      const why = describeHoldChange(found, generation, nowMs);
      if (why !== undefined) return { kind: "hold-changed", why, found };
      const from = users.putUser(user, backend);
      openAct(act)(user, "switch", from, backend);
      noteSwitch.run(act.atMs, row[0]);
      return { kind: "switched", from, position: write(row, step, act.atMs) };
    },
  };
}

function describeHoldChange(
  found: Hold | undefined,
  generation: number,
  nowMs: number,
): "gone" | "replaced" | "expired" | undefined {
  if (found === undefined) return "gone";
  if (found.generation !== generation) return "replaced";
  return found.deadlineMs <= nowMs ? "expired" : undefined;
}
