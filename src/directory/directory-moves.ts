/** The part of the directory that keeps moves and their journals. Import it from `directory.ts`. */
import type { Author, Hold, MoveActive } from "./directory.ts";

/** Entries, options and states are the business of whoever runs moves. */
export interface NewMove {
  /** Never used before in this directory. */
  readonly id: string;
  readonly user: string;
  readonly from: string;
  readonly to: string;
  readonly optionsJson: string;
  readonly state: string;
  /** First entry of the journal, if there is one. */
  readonly entryJson?: string;
}

export interface Move extends Omit<NewMove, "entryJson"> {
  /** Order of creation, for paging. */
  readonly number: number;
  /** A user has at most one such move. */
  readonly isActive: boolean;
  readonly createdMs: number;
  /** Of the last entry. */
  readonly changedMs: number;
}

export interface JournalEntry {
  /** 1 is the first, without gaps. */
  readonly position: number;
  readonly atMs: number;
  readonly entryJson: string;
}

export interface MoveFilter {
  readonly states?: readonly string[];
  readonly isActive?: boolean;
  readonly user?: string;
  readonly from?: string;
  readonly to?: string;
  /** Only moves after this one: the last of the page before. */
  readonly afterNumber?: number;
  readonly limit?: number;
}

/** The cutover of a move. */
export interface Switched {
  readonly moveId: string;
  readonly user: string;
  readonly from: string;
  /** Where the mailbox is since. */
  readonly to: string;
  readonly atMs: number;
}

export interface MoveReads {
  find(moveId: string): Move | undefined;
  /** The one of a user. */
  findActive(user: string): Move | undefined;
  /** The last cutover of a user, never forgotten: what the directory says may have been changed since, but no mail was moved. */
  findSwitched(user: string): Switched | undefined;
  /** How many active moves each state has; none with 0. Takes longer the more there are: 1 ms for 10,000. */
  countActive(): ReadonlyMap<string, number>;
  /** In order of creation, at most `MAX_PAGE`. */
  list(filter?: MoveFilter): readonly Move[];
  /** All of it, in order. Empty for a move that is not there. */
  journal(moveId: string): readonly JournalEntry[];
}

export interface MoveStep {
  /** Entries that come before it, in the same commit. */
  readonly earlierJson?: readonly string[];
  readonly entryJson: string;
  readonly state: string;
  readonly isActive: boolean;
}

export type AppendResult =
  /** @property position of the step's last entry */
  | { readonly kind: "appended"; readonly position: number }
  /** A move that had ended was to be active again, and the user has another one. */
  | MoveActive;

export interface Switch {
  readonly moveId: string;
  /** Where the user lives from now on; undefined leaves no entry, for an outside table is the authority. */
  readonly backend: string | undefined;
  /** Of the hold that was drained. */
  readonly generation: number;
  readonly nowMs: number;
  readonly step: MoveStep;
}

export type SwitchResult =
  | { readonly kind: "switched"; readonly from: string | undefined; readonly position: number }
  /** Nothing was changed. Replaced: the generation is another. */
  | { readonly kind: "hold-changed"; readonly why: "gone" | "replaced" | "expired"; readonly found: Hold | undefined };

export interface CreateResult {
  readonly created: readonly Move[];
  /** Their users have active moves, or come twice in this list. */
  readonly refused: readonly MoveActive[];
}

export interface MoveWrites {
  /** All that can be, in one transaction; at most `MAX_MOVES_AT_ONCE`, or it rejects with a `RangeError`. */
  create(moves: readonly NewMove[], author: Author): Promise<CreateResult>;
  /** Act only after it has resolved. Rejects with a `RangeError` where there is no such move. */
  append(moveId: string, step: MoveStep): Promise<AppendResult>;
  /**
   * The cutover, in one transaction: checks that the hold `move:ID` is there, unexpired and of that generation, sets the
   * user's backend, and writes the journal's entry. The hold stays. Rejects with a `RangeError` where there is no
   * such active move.
   */
  switch(cutover: Switch, author: Author): Promise<SwitchResult>;
}
