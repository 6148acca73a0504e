/**
 * Who lives where, who is held, what may still be under way, and the journals of moves.
 *
 * Reads answer in the same turn, each from one consistent state, and are never cached: in every process a read sees each
 * commit that was acknowledged before it. They throw `DirectoryFailed` when the store does; who asks for a delivery turns
 * that into `failed`, never into `absent`.
 *
 * Writes are promises. They happen in the order of their calls, each as a whole or not at all, and are on the disk when
 * their promise resolves; those that come together share one commit. They reject with `DirectoryFailed` and have then
 * not happened, but for its code `DIRECTORY_OUTCOME_UNKNOWN`: there, read before going on. What a move forbids is a
 * result, `move-active`, and no exception.
 *
 * A user is an opaque key here, as the router makes it (see `userKeys`); times are ms since the epoch. Keys, names and
 * owners are well-formed text without NUL, not empty and of at most `MAX_NAME_BYTES`; a write of anything else rejects
 * with a `TypeError` (see `describeNameFault`), and `find` of anything else finds nothing.
 */
import type { MoveReads, MoveWrites } from "./directory-moves.ts";

export type * from "./directory-moves.ts";

/** Who changes something and why: goes to the history with the change, in the same transaction. */
export interface Author {
  /** Such as `admin` or `import`. For what a move does for itself: `move:ID`, as `ownerOfMove` makes it. */
  readonly who: string;
  readonly why: string;
}

export interface UserEntry {
  readonly user: string;
  readonly backend: string;
}

/** Pauses a user's deliveries. The user is held while any is there, a hold past its deadline included. */
export interface Hold {
  readonly user: string;
  /** One hold for each user and owner. That of a move: `move:ID`. */
  readonly owner: string;
  /** Never the same twice in this directory, and growing. It changes whenever the hold does. */
  readonly generation: number;
  readonly reason: string;
  /** When the owner began to hold the user; later holds by the same owner leave it. */
  readonly sinceMs: number;
  readonly deadlineMs: number;
}

/** What the router needs to know of a user, from one state. */
export interface Placement {
  /** Undefined: no entry. */
  readonly backend: string | undefined;
  /** In order of their generations. */
  readonly holds: readonly Hold[];
}

/** The user has an active move, and only that move may do this. Nothing was changed. */
export interface MoveActive {
  readonly kind: "move-active";
  readonly user: string;
  readonly moveId: string;
}

export interface DirectoryReader {
  /** The two below together, at the price of one. Under 20 µs with ten million users. */
  find(user: string): Placement;
  findBackend(user: string): string | undefined;
  findHolds(user: string): readonly Hold[];
  readonly users: UserReads;
  readonly holds: HoldReads;
  readonly uncertain: UncertainReads;
  readonly moves: MoveReads;
  readonly backends: BackendReads;
  /** Newest first. */
  history(user: string, page?: HistoryPage): readonly Change[];
  /** Any number of reads may follow one another, none may follow this. */
  close(): Promise<void>;
}

/** One process writes. It holds a lock until `close`, or until the kernel buries it; others may read meanwhile. */
export interface Directory extends DirectoryReader {
  /**
   * The process that had this directory last did not close it: it crashed or was killed. Everyone counts as uncertain
   * from now on (`uncertain.latest`), and later starts still see that.
   */
  readonly startedUnclean: boolean;
  readonly users: UserReads & UserWrites;
  readonly holds: HoldReads & HoldWrites;
  readonly uncertain: UncertainReads & UncertainWrites;
  readonly moves: MoveReads & MoveWrites;
  readonly backends: BackendReads & BackendWrites;
  /**
   * Forgets what is older than `beforeMs`: changes of the history, and moves that have ended. In small batches with pauses
   * between, so it takes minutes with millions. One at a time; a second one rejects. What was forgotten stays so when it
   * ends early.
   */
  forget(beforeMs: number): Promise<Forgotten>;
  /** Ends an import, waits for the writes that were asked for, and marks the directory as closed as its last act. */
  close(): Promise<void>;
}

// ---- Users ----

export interface UserFilter {
  readonly backend?: string;
  /** Keys that begin with this text. */
  readonly prefix?: string;
  /** Only keys after this one: the last of the page before. */
  readonly after?: string;
  /** Default and at most `MAX_PAGE`. */
  readonly limit?: number;
}

export interface UserReads {
  /** One page, by key (byte order of UTF-8); a shorter one than asked for is the last. */
  list(filter?: UserFilter): readonly UserEntry[];
  /** Everyone that fits, page by page; what changes meanwhile is seen or not. Gives way to others between pages. */
  all(filter?: Omit<UserFilter, "after" | "limit">): AsyncIterable<UserEntry>;
  /** How many users each backend has; none with 0. At once, however many there are. */
  countByBackend(): ReadonlyMap<string, number>;
}

export type SetResult =
  | { readonly kind: "set"; readonly from: string | undefined }
  | { readonly kind: "unchanged" }
  | MoveActive;

export type UnsetResult =
  | { readonly kind: "unset"; readonly from: string }
  /** There was no entry. */
  | { readonly kind: "unchanged" }
  | MoveActive;

export interface ImportOptions {
  readonly author: Author;
  /** Counts what would change, and changes nothing. Default: false. */
  readonly dryRun?: boolean;
  /** Leaves alone users whose last move put the mailbox in one of these backends, and who are to be in another. Default: none. */
  readonly respectMovesTo?: readonly string[];
  /** Called a few times a second with what has been done so far. */
  readonly onProgress?: (soFar: ImportReport) => void;
  /** Ends it after the batch under way; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface ImportReport {
  /** Entries taken from the source. Those below add up to it when the import has ended. */
  readonly read: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  /** Entries of a user that follows again soon after: the last one counts. */
  readonly repeated: number;
  /** Left alone, because the user has an active move. */
  readonly refused: number;
  /** The first of the refused. */
  readonly refusals: readonly { readonly user: string; readonly moveId: string }[];
  /** Left alone, because the last move of the user has put the mailbox in another backend. */
  readonly contradicted: number;
  /** The first of them. */
  readonly contradictions: readonly Contradiction[];
  /** Left out, because the user or the backend is no name. */
  readonly invalid: number;
  /** The first of the invalid. */
  readonly faults: readonly { readonly entry: number; readonly fault: string }[];
}

export interface Contradiction {
  readonly user: string;
  /** What the import says. */
  readonly backend: string;
  /** Where the mailbox is, since this move. */
  readonly movedTo: string;
  readonly moveId: string;
}

export interface UserWrites {
  /** @param user may be new */
  set(user: string, backend: string, author: Author): Promise<SetResult>;
  unset(user: string, author: Author): Promise<UnsetResult>;
  /**
   * Sets many, in small batches of their own transactions, between which every other write has its turn. Nobody is
   * unset. What was committed stays when it ends early, by a fault of the source too: to resume, start it again, for
   * what is there already costs no write. One at a time; a second one rejects.
   */
  import(entries: AsyncIterable<UserEntry> | Iterable<UserEntry>, options: ImportOptions): Promise<ImportReport>;
}

// ---- Holds ----

export interface HoldReads {
  /** In order of their generations. */
  list(page?: { readonly afterGeneration?: number; readonly limit?: number }): readonly Hold[];
  /**
   * Those whose deadline is not after `nowMs`, the oldest deadline first; at most `MAX_PAGE`. They hold until released.
   * Without those of active moves, which know what to do: however many there are, they stand in nobody's way.
   */
  expired(nowMs: number): readonly Hold[];
}

export interface NewHold {
  readonly user: string;
  readonly owner: string;
  readonly reason: string;
  readonly deadlineMs: number;
}

export interface Release {
  readonly user: string;
  readonly owner: string;
  /** Only if it is still this one: whoever releases what expired must not release what was extended meanwhile. */
  readonly generation?: number;
}

export type ReleaseResult =
  | { readonly kind: "released"; readonly hold: Hold; readonly isStillHeld: boolean }
  /** There is no such hold, or it has another generation. */
  | { readonly kind: "not-held"; readonly found: Hold | undefined }
  | MoveActive;

export interface HoldWrites {
  /** Holds the user, or gives the owner's hold a new generation, reason and deadline. The drain begins after it. */
  place(hold: NewHold, author: Author): Promise<Hold>;
  /** The hold of an active move is released by that move alone; holds of other owners do not touch the move. */
  release(release: Release, author: Author): Promise<ReleaseResult>;
}

// ---- Uncertain deliveries ----

/** A store may still be finishing what was sent to it. */
export type Uncertain =
  | ({ readonly kind: "delivery" } & UncertainDelivery)
  /** A daemon or a worker died: what it had sent is unknown. */
  | { readonly kind: "everyone"; readonly atMs: number; readonly why: string };

export interface UncertainDelivery {
  readonly user: string;
  readonly backend: string;
  readonly session: string;
  readonly atMs: number;
}

export interface UncertainReads {
  /** The newest that concerns the user. */
  latest(user: string): Uncertain | undefined;
}

export interface UncertainWrites {
  /** Until it resolves, the delivery counts as under way. */
  add(delivery: UncertainDelivery): Promise<void>;
  /** After a worker's crash. */
  addEveryone(atMs: number, why: string): Promise<void>;
  /** Those older than `beforeMs`. @returns how many */
  forget(beforeMs: number): Promise<number>;
}

// ---- Backends ----

/** Out of service. */
export interface DisabledBackend extends Author {
  readonly backend: string;
  readonly sinceMs: number;
}

export interface BackendReads {
  /** By name, those that the configuration no longer has included. */
  disabled(): readonly DisabledBackend[];
}

export interface BackendWrites {
  /** Who began to disable it stands there until it is enabled. @returns whether it changed anything */
  setDisabled(backend: string, isDisabled: boolean, author: Author): Promise<boolean>;
}

// ---- History ----

export interface Forgotten {
  readonly changes: number;
  readonly moves: number;
}

export interface HistoryPage {
  /** Only changes before this one: the last of the page before. */
  readonly beforeId?: number;
  /** Default and at most `MAX_PAGE`. */
  readonly limit?: number;
}

export interface Change extends Author {
  readonly id: number;
  readonly atMs: number;
  readonly user: string;
  readonly what: "set" | "unset" | "import" | "hold" | "release" | "move" | "switch";
  /** What was and what is. Backends; for `hold` and `release` owners, for `move` those it goes between. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}
