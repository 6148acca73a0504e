import type { DirectoryReader } from "../directory/directory.ts";
import type { MovePhase } from "../moves/move.ts";
import type { MoveService } from "../moves/move-service.ts";

const ACTIVE: readonly MovePhase[] = [
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
  "rolling-back",
];
const ENDED: readonly MovePhase[] = ["done", "rehearsed", "rolled-back", "failed"];

export const PHASES: readonly MovePhase[] = [...ACTIVE, ...ENDED];

const withZeros = (phases: readonly MovePhase[]): Map<string, number> => new Map(phases.map((phase) => [phase, 0]));

export interface MoveCounts {
  /** Those under way, by phase. */
  readonly active: ReadonlyMap<string, number>;
  /** Those that have ended since this was begun, by how. */
  readonly ended: ReadonlyMap<string, number>;
}

/** @returns counts at the time that it is called. @throws DirectoryFailed, from that */
export function beginCountingMoves(
  moves: Pick<MoveService, "onEvent">,
  directory: Pick<DirectoryReader, "moves">,
): () => MoveCounts {
  const ended = withZeros(ENDED);
  moves.onEvent((event) => {
    if (event.kind === "moved-on" && !event.move.isActive)
      ended.set(event.move.phase, (ended.get(event.move.phase) ?? 0) + 1);
  });
  return () => {
    const active = withZeros(ACTIVE);
    for (const [phase, count] of directory.moves.countActive()) active.set(phase, count);
    return { active, ended };
  };
}
