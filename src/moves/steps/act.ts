import type { CommandGroup } from "../commands/command-group.ts";
import type { MoveState, OutsideBefore } from "../move.ts";

/** What a move does next. Those marked (*) go on trying until they are done: there is no other way from where they stand. */
export type Act =
  /** (*) Kills what may be under way, and waits until it is proven gone. Then `command-gone`. */
  | { readonly kind: "stop-commands"; readonly commands: readonly CommandGroup[] }
  | { readonly kind: "sync"; readonly which: SyncKind }
  | { readonly kind: "compare"; readonly isHeld: boolean }
  /** Asks the new store whether it takes mail for the user and lets the user in. */
  | { readonly kind: "probe"; readonly isHeld: boolean }
  | { readonly kind: "lock" }
  | { readonly kind: "kick" }
  /** Until those logins must have reached the store that were let through before the lock. */
  | { readonly kind: "wait-for-logins" }
  | { readonly kind: "hold" }
  | { readonly kind: "check-sessions" }
  | { readonly kind: "switch"; readonly cutover: Cutover }
  /** What comes of it may be unknown. */
  | { readonly kind: "write-outside" }
  /** (*) Until the table says the new backend, or the old one when no write can be under way any more. */
  | {
      readonly kind: "read-outside";
      readonly before: OutsideBefore;
      readonly writtenMs: number;
      readonly isRefused: boolean;
    }
  /** (*) @property isOutside makes everyone forget what an outside table said before */
  | { readonly kind: "release"; readonly isOutside: boolean }
  | { readonly kind: "unlock" };

export type SyncKind = "pre-sync" | "final-sync";

export interface Cutover {
  readonly generation: number;
  readonly drainedMs: number;
  /** An outside table has the new backend already: no entry is left, and the hold was unexpired `atMs`. */
  readonly outside: { readonly atMs: number } | undefined;
}

/** What a state is there to do; undefined where it waits for somebody. */
export function actFor(state: MoveState): Act | undefined {
  switch (state.phase) {
    case "planned":
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return undefined;
    case "paused":
      return state.command && stop(state.command);
    case "pre-sync":
      return actOfPreSync(state);
    case "lock":
      return actOfLock(state);
    case "hold":
      return { kind: "hold" };
    case "final-sync":
      return state.doing === "syncing" ? { kind: "sync", which: "final-sync" } : { kind: "check-sessions" };
    case "verify":
      return { kind: "compare", isHeld: true };
    case "switch":
      return actOfSwitch(state);
    case "release":
      return { kind: "release", isOutside: state.isOutside };
    case "unlock":
      return actOfUnlock(state);
    case "rolling-back":
      return actOfRollBack(state);
  }
}

type In<Phase extends MoveState["phase"]> = Extract<MoveState, { phase: Phase }>;

function actOfPreSync({ doing, command }: In<"pre-sync">): Act {
  switch (doing) {
    case "stopping":
      return stop(command);
    case "syncing":
      return { kind: "sync", which: "pre-sync" };
    case "comparing":
      return { kind: "compare", isHeld: false };
    case "probing":
      return { kind: "probe", isHeld: false };
  }
}

function actOfLock({ doing }: In<"lock">): Act {
  switch (doing) {
    case "locking":
      return { kind: "lock" };
    case "kicking":
    case "kicking-again":
      return { kind: "kick" };
    case "waiting":
      return { kind: "wait-for-logins" };
  }
}

function actOfSwitch(state: In<"switch">): Act {
  const { generation, drainedMs } = state.drained;
  switch (state.doing) {
    case "probing":
      return { kind: "probe", isHeld: true };
    case "committing":
      return { kind: "switch", cutover: { generation, drainedMs, outside: undefined } };
    case "writing-outside":
      return { kind: "write-outside" };
    case "reading-outside":
      return {
        kind: "read-outside",
        before: state.before,
        writtenMs: state.writtenMs,
        isRefused: state.isRefused,
      };
    case "committing-outside":
      return { kind: "switch", cutover: { generation, drainedMs, outside: { atMs: state.sinceMs } } };
  }
}

function actOfUnlock({ doing, command }: In<"unlock">): Act {
  switch (doing) {
    case "stopping":
      return stop(command);
    case "kicking":
      return { kind: "kick" };
    case "unlocking":
      return { kind: "unlock" };
  }
}

function actOfRollBack({ doing, commands }: In<"rolling-back">): Act {
  switch (doing) {
    case "stopping":
    case "stopping-last":
      return { kind: "stop-commands", commands };
    case "releasing":
      return { kind: "release", isOutside: false };
    case "unlocking":
      return { kind: "unlock" };
  }
}

const stop = (command: CommandGroup | undefined): Act => ({
  kind: "stop-commands",
  commands: command === undefined ? [] : [command],
});
