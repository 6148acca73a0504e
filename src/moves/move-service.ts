import type { Author } from "../directory/directory.ts";
import type { MovePhase } from "./move.ts";

/** Moves of this daemon, as the admin API and the listeners see them. Throws and rejects with `DirectoryFailed` alone. */
export interface MoveService {
  /** Plans a move for each user that can be moved; each begins when its turn comes. */
  start(request: StartRequest): Promise<StartResult>;
  /** In order of creation, one page. */
  list(filter?: MoveListFilter): readonly MoveView[];
  show(moveId: string): MoveDetails | undefined;
  /** Before the lock: stops what is under way; it begins again by `resume`. Later a move takes moments, or is cancelled. */
  pause(moveId: string, author: Author): Promise<OrderResult>;
  resume(moveId: string, author: Author): Promise<OrderResult>;
  /** Rolls back; refused from the switch on. Resolves when that has begun, not when it is done. */
  cancel(moveId: string, author: Author): Promise<OrderResult>;
  /** Plans a move that failed or was rolled back once more, from its first step. */
  retry(moveId: string, author: Author): Promise<OrderResult>;
  activeMove(user: string): MoveView | undefined;
  /** New logins of the user have to wait. Reads the directory each time: right in every process, from the commit on. */
  isLocked(user: string): boolean;
  /** What came of all moves that were started together. Undefined: no such batch. */
  batch(batchId: string): Promise<BatchSummary | undefined>;
  /** @returns ends it */
  onEvent(listener: (event: MoveServiceEvent) => void): () => void;
  /** A worker died, or whatever else makes unknown what stores were sent: moves between lock and switch roll back. */
  interrupt(reason: string): void;
  /**
   * No move begins any more; those between lock and switch roll back, those after it go on to their end, commands of
   * pre-syncs are stopped and begin again after the next start. Resolves when all that is done or `timeoutMs` are over.
   */
  close(timeoutMs: number): Promise<void>;
}

export interface StartRequest {
  /** User keys, as `router.userKeyOf` makes them. At most `MAX_USERS_AT_ONCE`. */
  readonly users: readonly string[];
  /** Backend. */
  readonly to: string;
  /** Only users that live there; the others are refused. */
  readonly from?: string;
  /** Default: by the options. */
  readonly preset?: string;
  /** Moves also where stores' own addresses are given away, past which the drain sees nothing. */
  readonly isUnproven?: boolean;
  /** Copies, compares and asks the new store, and ends before the lock: the user notices nothing. */
  readonly isRehearsal?: boolean;
  /** Says what would be, and does nothing. */
  readonly isDryRun?: boolean;
  readonly author: Author;
}

export interface StartResult {
  /** Undefined where no move was planned. */
  readonly batchId: string | undefined;
  readonly planned: readonly PlannedMove[];
  readonly refused: readonly RefusedMove[];
}

export interface PlannedMove {
  /** Undefined in a dry run. */
  readonly moveId: string | undefined;
  readonly user: string;
  readonly from: string;
  readonly to: string;
}

export interface RefusedMove {
  readonly user: string;
  readonly why: "already-there" | "lives-elsewhere" | "move-active" | "repeated" | "cannot-tell" | "cannot-move";
  /** For operators. */
  readonly text: string;
}

export interface MoveListFilter {
  readonly phases?: readonly MovePhase[];
  readonly isActive?: boolean;
  readonly user?: string;
  readonly from?: string;
  readonly to?: string;
  /** Only moves after this one: the last of the page before. */
  readonly afterNumber?: number;
  readonly limit?: number;
}

export interface MoveView {
  readonly id: string;
  /** Order of creation. */
  readonly number: number;
  readonly batchId: string;
  readonly user: string;
  readonly from: string;
  readonly to: string;
  readonly preset: string;
  readonly isRehearsal: boolean;
  readonly phase: MovePhase;
  readonly isActive: boolean;
  readonly createdMs: number;
  readonly changedMs: number;
  /** What was last said in alarm, if it has not moved on since: it may stand still, such as for a full disk. */
  readonly trouble?: string | undefined;
}

export interface MoveDetails extends MoveView {
  /** What it does in its phase, such as `syncing`; undefined where there is nothing to tell. */
  readonly doing: string | undefined;
  /** Of the pre-sync; undefined in other phases. */
  readonly round: number | undefined;
  /** Why it was rolled back or failed. */
  readonly reason: string | undefined;
  readonly warnings: readonly string[];
  /** Where its commands' output and its reports are; undefined where there is none (yet). */
  readonly logPath: string | undefined;
  readonly reportPath: string | undefined;
  readonly journal: readonly JournalLine[];
}

export interface JournalLine {
  readonly position: number;
  readonly atMs: number;
  /** Kind of the entry, such as `synced`. */
  readonly what: string;
  /** For operators. */
  readonly text: string;
}

export type OrderResult =
  | { readonly kind: "done"; readonly move: MoveView }
  | { readonly kind: "no-such-move" }
  /** Nothing was changed. */
  | { readonly kind: "refused"; readonly why: string };

export type MoveServiceEvent =
  | {
      readonly kind: "moved-on";
      readonly move: MoveView;
      readonly doing: string | undefined;
      readonly round: number | undefined;
      /** Why it failed or rolls back. */
      readonly reason: string | undefined;
    }
  /** Something that an operator has to look at; the move goes on trying. */
  | { readonly kind: "alarm"; readonly moveId: string; readonly user: string; readonly text: string }
  | { readonly kind: "batch-ended"; readonly summary: BatchSummary };

export interface BatchSummary {
  readonly id: string;
  readonly total: number;
  readonly active: number;
  readonly done: number;
  readonly failed: readonly { readonly moveId: string; readonly user: string; readonly phase: MovePhase }[];
  /** Names them, for `move start --file`. Undefined where there is none: before the end, or for a single move. */
  readonly failedPath?: string;
}
