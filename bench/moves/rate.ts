import { setTimeout as sleep } from "node:timers/promises";
import { startMoves } from "./world.ts";
import type { MoveWorld, NoOp } from "./world.ts";

export type RateRound =
  | {
      readonly kind: "done";
      readonly movesPerSecond: number;
      /** Of the daemon for each move, and of the commands. */
      readonly cpuMicros: number;
      readonly commandMicros: number;
    }
  | { readonly kind: "failed"; readonly reason: string };

/** A round that takes longer has hung. */
const ROUND_TIMEOUT_MS = 120_000;
const LOOK_EVERY_MS = 5;

let roundCount = 0;

/** Moves users whom nobody has moved before, and looks whether all of them live in the new store. */
export async function runMoves(world: MoveWorld, preset: NoOp, moves: number): Promise<RateRound> {
  roundCount += 1;
  const users = Array.from({ length: moves }, (_, index) => `round${roundCount}-${index}`);
  const before = world.cpuMicros();
  const startMs = performance.now();
  try {
    await startMoves(world, users, preset);
    while (world.directory.moves.list({ isActive: true, limit: 1 }).length > 0) {
      if (performance.now() - startMs > ROUND_TIMEOUT_MS) return { kind: "failed", reason: "moves do not end" };
      await sleep(LOOK_EVERY_MS);
    }
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
  const seconds = (performance.now() - startMs) / 1_000;
  const after = world.cpuMicros();
  const left = users.filter((user) => world.directory.findBackend(user) !== "new");
  if (left.length > 0) return { kind: "failed", reason: `${left.length} users were not moved, such as ${left[0]}` };
  return {
    kind: "done",
    movesPerSecond: moves / seconds,
    cpuMicros: (after.own - before.own) / moves,
    commandMicros: (after.commands - before.commands) / moves,
  };
}
