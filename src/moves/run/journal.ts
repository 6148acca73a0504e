import { DirectoryFailed } from "../../directory/directory-failed.ts";
import type { Directory, MoveReads, MoveStep } from "../../directory/directory.ts";
import { INITIAL_STATE, isActivePhase } from "../move.ts";
import type { MoveEntry, MovePhase, MoveState } from "../move.ts";
import { persist } from "./wait.ts";
import type { Persistence } from "./wait.ts";

const PHASES: ReadonlySet<string> = new Set<MovePhase>([
  "planned",
  "paused",
  "pre-sync",
  "lock",
  "hold",
  "final-sync",
  "verify",
  "switch",
  "release",
  "unlock",
  "done",
  "rehearsed",
  "rolling-back",
  "rolled-back",
  "failed",
]);

export const FIRST_ENTRY: MoveEntry = { event: { kind: "created" }, state: INITIAL_STATE };

export const encodeEntry = (entry: MoveEntry): string => JSON.stringify(entry);

/** @throws Error for what no version up to this one has written */
export function decodeEntry(json: string): MoveEntry {
  const entry = JSON.parse(json) as MoveEntry;
  if (!PHASES.has(entry.state.phase))
    throw new Error(`its journal has the phase "${entry.state.phase}", which this version does not know`);
  return entry;
}

/** All of them in one commit. */
export function toStep(entries: readonly MoveEntry[]): MoveStep {
  const last = entries.at(-1);
  if (last === undefined) throw new Error("a step without an entry");
  const { phase } = last.state;
  const earlierJson = entries.slice(0, -1).map(encodeEntry);
  return { earlierJson, entryJson: encodeEntry(last), state: phase, isActive: isActivePhase(phase) };
}

export interface JournalEnd {
  readonly state: MoveState;
  /** Of the last entry. */
  readonly position: number;
}

/** @throws Error where the journal cannot be read; DirectoryFailed */
export function readEnd(moves: MoveReads, moveId: string): JournalEnd {
  const last = moves.journal(moveId).at(-1);
  if (last === undefined) throw new Error("its journal is empty");
  return { state: decodeEntry(last.entryJson).state, position: last.position };
}

export type Appended =
  | { readonly kind: "appended"; readonly position: number }
  | { readonly kind: "refused"; readonly why: string };

/**
 * Writes entries in one commit, however long that takes: nothing goes on before they are written.
 * @param position of the last entry that was written
 * @throws Stopped
 */
export function appendStep(
  directory: Directory,
  moveId: string,
  position: number,
  step: MoveStep,
  persistence: Persistence,
): Promise<Appended> {
  let isUnknown = false;
  return persist("the journal cannot be written", persistence, async () => {
    // What is there already was written by the try whose outcome was unknown: nobody else writes here.
    if (isUnknown && wasWritten(directory, moveId, position))
      return { kind: "appended", position: position + 1 + (step.earlierJson?.length ?? 0) };
    try {
      const result = await directory.moves.append(moveId, step);
      if (result.kind === "appended") return result;
      return { kind: "refused", why: `the user has another move under way, ${result.moveId}` };
    } catch (error) {
      isUnknown ||= isOutcomeUnknown(error);
      throw error;
    }
  });
}

export const isOutcomeUnknown = (error: unknown): boolean =>
  error instanceof DirectoryFailed && error.code === "DIRECTORY_OUTCOME_UNKNOWN";

/** @throws DirectoryFailed */
export const wasWritten = (directory: Directory, moveId: string, position: number): boolean =>
  (directory.moves.journal(moveId).at(-1)?.position ?? 0) > position;
