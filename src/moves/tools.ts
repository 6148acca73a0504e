/** What moves ask of the rest of the daemon and of the stores. Each is an interface, so that tests can be all of it. */
import type { CommandGroup } from "./commands/command-group.ts";
import type { SyncKind } from "./steps/act.ts";

/** Whose mailbox goes from where to where, and how. */
export interface MoveSubject {
  readonly moveId: string;
  readonly user: string;
  readonly from: string;
  readonly to: string;
  /** Name of the commands. */
  readonly preset: string;
  /** Ends before the lock. */
  readonly isRehearsal?: boolean;
}

/** Something that a move needs could not be done. Ends the move, by rolling back. */
export class ActFailed extends Error {
  override readonly name = "ActFailed";
  readonly code = "ACT_FAILED";
}

export interface Supervised {
  /** Aborted: kill what runs, and settle once it is gone. */
  readonly signal: AbortSignal;
  /**
   * Asked once a command's processes exist, and before they may do anything. It is in the journal then.
   * @returns false where it must not run any more
   */
  readonly mayStart: (command: CommandGroup) => Promise<boolean>;
}

export type CommandKind = SyncKind | "lock" | "unlock" | "kick" | "sessions";

/** The commands of presets. They settle only when nothing of a command is left, and reject with ActFailed. */
export interface MoveCommands {
  /** Why such a move cannot be; undefined: it can. */
  faultOf(from: string, to: string, preset: string): string | undefined;
  /** Whether there is such a command; also where that cannot be told. */
  has(what: CommandKind, subject: MoveSubject): boolean;
  /** Makes the new mailbox equal to the old one. */
  sync(which: SyncKind, subject: MoveSubject, supervised: Supervised): Promise<void>;
  /** Where a preset has no such command it is done. */
  lock(subject: MoveSubject, supervised: Supervised): Promise<void>;
  unlock(subject: MoveSubject, supervised: Supervised): Promise<void>;
  /** Ends the user's sessions at the old store. @returns whether there is a command for that */
  kick(subject: MoveSubject, supervised: Supervised): Promise<boolean>;
  /** How many sessions the user has at the old store; undefined where no command can tell. */
  countSessions(subject: MoveSubject, supervised: Supervised): Promise<number | undefined>;
  /** Kills what is left of a command. @returns whether it is proven gone */
  stop(command: CommandGroup): Promise<boolean>;
  /** The move has ended: nothing of it is needed any more but its log. */
  forget(moveId: string): Promise<void>;
}

export interface StoreChecks {
  /** Why such a move cannot be checked; undefined: it can. */
  faultOf(from: string, to: string): string | undefined;
  /** Undefined: they are compared. */
  whyNotCompared(): string | undefined;
  /** Compares the two mailboxes and writes a report. @throws ActFailed where it cannot tell */
  compare(
    subject: MoveSubject,
    how: { readonly isHeld: boolean; readonly signal: AbortSignal },
  ): Promise<{ readonly differences: number; readonly text: string }>;
  /** @throws ActFailed where the new store does not take mail for the user, or does not let the user in */
  probe(subject: MoveSubject, signal: AbortSignal): Promise<void>;
  forget(moveId: string): void;
}

/** Who lets users in. */
export interface Logins {
  /** When a login of the user was last let through, in any process, on the wall clock in ms; undefined: not lately. */
  lastLetThroughMs(user: string): number | undefined | Promise<number | undefined>;
}

/** What came of a write to an outside table. */
export type OutsideWrite =
  | { readonly kind: "written" }
  /** Nothing was written. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unknown"; readonly reason: string };

/** A table outside that decides where users live: `directory.write_through`. Never rejects. */
export interface OutsideAuthority {
  readonly table: string;
  /** After which no write can be under way any more, in ms. */
  readonly settleMs: number;
  write(user: string, backend: string): Promise<OutsideWrite>;
  /** Past every cache. */
  read(
    user: string,
  ): Promise<
    | { readonly kind: "found"; readonly backend: string }
    | { readonly kind: "absent" }
    | { readonly kind: "failed"; readonly reason: string }
  >;
  /** Drops the answers that are cached of the user, in every process. @throws where it cannot tell that they are dropped */
  forget(user: string): Promise<void>;
}

/** Where a user lives, holds aside. Never rejects. */
export type Residence = (
  user: string,
) => Promise<
  { readonly kind: "lives"; readonly backend: string } | { readonly kind: "cannot-tell"; readonly reason: string }
>;
