import type { CommandGroup } from "./commands/command-group.ts";

/** The hold whose drain has come to its end: from then on no byte of the user's mail goes to the old store. */
export interface DrainedHold {
  readonly generation: number;
  /** When the hold was drained, on the wall clock in ms. An uncertain delivery after it would be a fault. */
  readonly drainedMs: number;
}

/**
 * Where a move stands. `command`: a command may be under way, and nothing that it could harm may follow before it is
 * proven gone. In order: planned, pre-sync, lock, hold (and drain), final-sync, verify, switch, release, unlock, done.
 */
export type MoveState =
  /** Waits for its turn. */
  | { readonly phase: "planned"; readonly round: number; readonly command: CommandGroup | undefined }
  | { readonly phase: "paused"; readonly round: number; readonly command: CommandGroup | undefined }
  | {
      readonly phase: "pre-sync";
      readonly round: number;
      readonly doing: "stopping" | "syncing" | "comparing" | "probing";
      readonly command: CommandGroup | undefined;
      /** What the comparison found. It proves nothing: mail still flows into the old store. */
      readonly differing?: string;
    }
  | {
      readonly phase: "lock";
      readonly doing: "locking" | "kicking" | "waiting" | "kicking-again";
      readonly command: CommandGroup | undefined;
    }
  | { readonly phase: "hold" }
  | {
      readonly phase: "final-sync";
      readonly drained: DrainedHold;
      readonly doing: "checking-sessions" | "syncing";
      readonly command: CommandGroup | undefined;
    }
  | { readonly phase: "verify"; readonly drained: DrainedHold }
  | { readonly phase: "switch"; readonly drained: DrainedHold; readonly doing: "probing" | "committing" }
  /** An outside table decides where the user lives. From the intent to write it on, only reading it back tells. */
  | {
      readonly phase: "switch";
      readonly drained: DrainedHold;
      readonly doing: "writing-outside" | "reading-outside" | "committing-outside";
      /** When the hold was last seen unexpired: the cutover counts as of then. */
      readonly sinceMs: number;
      /** When a write was last under way. */
      readonly writtenMs: number;
      readonly before: OutsideBefore;
      /** Whether the table said that nothing was written. */
      readonly isRefused: boolean;
    }
  | { readonly phase: "release"; readonly isOutside: boolean; readonly warnings: readonly string[] }
  | {
      readonly phase: "unlock";
      readonly doing: "stopping" | "kicking" | "unlocking";
      readonly command: CommandGroup | undefined;
      readonly warnings: readonly string[];
    }
  | { readonly phase: "done"; readonly warnings: readonly string[] }
  /** Copied, compared and asked for, and nothing else: the user lives in the old store. */
  | { readonly phase: "rehearsed"; readonly warnings: readonly string[] }
  | RollingBack
  /** Back at the old store, after a lock or a hold, or because somebody cancelled it. */
  | { readonly phase: "rolled-back"; readonly reason: string; readonly warnings: readonly string[] }
  /** Ended before there was anything to undo. */
  | { readonly phase: "failed"; readonly reason: string };

/** What an outside table said before: where it said nothing, another table or the fallback did. */
export type OutsideBefore = "old" | "absent";

export interface RollingBack {
  readonly phase: "rolling-back";
  /** `stopping-last`: the hold's deadline came first. */
  readonly doing: "stopping" | "releasing" | "unlocking" | "stopping-last";
  readonly reason: string;
  readonly end: "failed" | "rolled-back";
  readonly undo: "nothing" | "lock" | "hold-and-lock";
  /** All that may still be under way. */
  readonly commands: readonly CommandGroup[];
  readonly warnings: readonly string[];
}

export type MovePhase = MoveState["phase"];

/**
 * What comes of an act, or from outside. It is journalled with the state that it leads to before the act of that state
 * begins: so each entry is the outcome of one act and the intent of the next.
 */
export type MoveEvent =
  | { readonly kind: "created" }
  /** It is its turn. */
  | { readonly kind: "started" }
  /** Written before the command can touch a mailbox: it is not let go before. */
  | { readonly kind: "command-started"; readonly command: CommandGroup }
  | { readonly kind: "command-gone" }
  /** @property isLast no further round is needed */
  | { readonly kind: "synced"; readonly tookMs: number; readonly isLast: boolean }
  | { readonly kind: "compared"; readonly differences: number; readonly text: string }
  /** The new store takes mail for the user, and lets the user in. */
  | { readonly kind: "accepted"; readonly atMs: number; readonly outside: OutsideBefore | undefined }
  /** Likewise, and that is all that was wanted. */
  | { readonly kind: "rehearsed" }
  | { readonly kind: "locked" }
  /** @property hasCommand undefined in journals of older versions */
  | { readonly kind: "kicked"; readonly hasCommand?: boolean }
  | { readonly kind: "logins-over" }
  | {
      readonly kind: "drained";
      readonly hold: DrainedHold;
      readonly waitedFor: number;
      readonly cut: number;
      readonly settledMs: number;
    }
  /** @property isKnown undefined in journals of older versions */
  | { readonly kind: "no-sessions"; readonly isKnown?: boolean }
  | { readonly kind: "switched" }
  | { readonly kind: "outside-written"; readonly atMs: number; readonly isRefused: boolean; readonly text: string }
  | { readonly kind: "outside-read"; readonly value: "old" | "new" }
  | { readonly kind: "released" }
  | { readonly kind: "unlocked"; readonly warnings: readonly string[] }
  /** What was to be done could not be done. */
  | { readonly kind: "failed"; readonly reason: string }
  /** The hold may end now: it was meant to be over by now. */
  | { readonly kind: "deadline-passed" }
  /** What was proven of deliveries no longer holds, or the daemon stops: before the switch there is only the way back. */
  | { readonly kind: "interrupted"; readonly reason: string }
  /** The daemon runs again: what was under way has ended, or is stopped first. */
  | { readonly kind: "restarted"; readonly atMs: number }
  | { readonly kind: "paused"; readonly who: string }
  | { readonly kind: "resumed"; readonly who: string }
  | { readonly kind: "cancelled"; readonly who: string }
  | { readonly kind: "retried"; readonly who: string };

export interface MoveEntry {
  readonly event: MoveEvent;
  /** Where the event has led, so that a later version with other rules goes on from there. */
  readonly state: MoveState;
}

export const INITIAL_STATE: MoveState = { phase: "planned", round: 1, command: undefined };

const ENDED: ReadonlySet<string> = new Set<MovePhase>(["done", "rehearsed", "rolled-back", "failed"]);
const LOCKED: ReadonlySet<string> = new Set<MovePhase>([
  "lock",
  "hold",
  "final-sync",
  "verify",
  "switch",
  "release",
  "unlock",
  "rolling-back",
]);

export const isActivePhase = (phase: string): boolean => !ENDED.has(phase);

/** New logins have to wait. @param phase as the directory has it in `Move.state`, so that any process can tell */
export const isLockedPhase = (phase: string): boolean => LOCKED.has(phase);
