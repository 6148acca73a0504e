import type { DatabaseSync } from "node:sqlite";
import { createBackendWriter } from "./backend-writes.ts";
import type { BackendWriter } from "./backend-writes.ts";
import { createForgetter } from "./forget-writes.ts";
import type { Forgetter } from "./forget-writes.ts";
import { createHistoryWrites } from "./history-writes.ts";
import { createHoldWriter, createUncertainWriter } from "./hold-writes.ts";
import type { HoldWriter, UncertainWriter } from "./hold-writes.ts";
import { createMoveWriter } from "./move-writes.ts";
import type { MoveWriter } from "./move-writes.ts";
import { createUserWriter } from "./user-writes.ts";
import type { UserWriter } from "./user-writes.ts";

/** What the writer's thread is asked for: each is part of a transaction that its caller begins and ends. */
export type Operations = Pick<UserWriter, "setUser" | "unsetUser" | "importUsers"> &
  Pick<HoldWriter, "placeHold" | "releaseHold"> &
  UncertainWriter &
  MoveWriter &
  BackendWriter &
  Forgetter;

/** Those that nobody waits for: each has a commit of its own, after those that somebody waits for. */
export const BULK_OPERATIONS: ReadonlySet<OperationName> = new Set<OperationName>(["importUsers", "forgetBatch"]);

export type OperationName = keyof Operations;

/** @param isAwaited whether others wait for what is under way, which may then end early where it may end at any time */
export function createOperations(db: DatabaseSync, isAwaited: () => boolean = () => false): Operations {
  const openAct = createHistoryWrites(db);
  const users = createUserWriter(db, openAct, isAwaited);
  const holds = createHoldWriter(db, openAct);
  return {
    ...users,
    ...holds,
    ...createUncertainWriter(db),
    ...createMoveWriter({ db, users, holds, openAct }),
    ...createBackendWriter(db),
    ...createForgetter(db),
  };
}
