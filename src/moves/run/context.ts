import type { Clock } from "../../core/clock.ts";
import type { Author, Directory } from "../../directory/directory.ts";
import { ownerOfMove } from "../../directory/names.ts";
import type { HoldKeeper } from "../hold-keeper.ts";
import type {
  Logins,
  MoveCommands,
  MoveSubject,
  OutsideAuthority,
  Residence,
  StoreChecks,
  Supervised,
} from "../tools.ts";
import type { Persistence } from "./wait.ts";

/** What the performing of acts needs of the options; read when an act begins, so that a reload counts. */
export interface RunRules {
  /** A pre-sync that took less is the last one, in ms. */
  readonly roundsUntilMs: number;
  readonly maxRounds: number;
  /** How long after a login was let through its session must be there to be kicked, in ms. */
  readonly lockGraceMs: number;
  /** How long sessions may take to end once they are kicked, in ms. */
  readonly sessionsTimeoutMs: number;
  /** After which an uncertain delivery has reached its store or never will, in ms. */
  readonly settleMs: number;
  /** How long the hold of a move lasts at most before the switch, in ms. */
  readonly holdDeadlineMs: number;
}

export interface RunParts {
  readonly directory: Directory;
  readonly keeper: Pick<HoldKeeper, "hold" | "release">;
  readonly commands: MoveCommands;
  readonly checks: StoreChecks;
  readonly logins: Logins;
  /** Undefined: the directory decides. */
  readonly outside: OutsideAuthority | undefined;
  readonly residence: Residence;
  readonly clock: Clock;
  readonly rules: () => RunRules;
}

export interface ActContext extends Supervised {
  readonly parts: RunParts;
  readonly subject: MoveSubject;
  /** Of the pre-sync under way. */
  readonly round: number;
  readonly alarm: (text: string) => void;
  /** When the user will be released unless the switch comes first, on the wall clock in ms. */
  readonly onHold: (deadlineMs: number) => void;
}

export const persistenceOf = ({ parts, signal, alarm }: ActContext): Persistence => ({
  clock: parts.clock,
  signal,
  alarm,
});

export const authorOf = ({ moveId, from, to }: MoveSubject): Author => ({
  who: ownerOfMove(moveId),
  why: `moves from ${from} to ${to}`,
});
