import { randomBytes } from "node:crypto";
import type { Directory, Move } from "../../directory/directory.ts";
import { isActivePhase } from "../move.ts";
import type { MovePhase } from "../move.ts";
import type { BatchSummary } from "../move-service.ts";

/** Grows with time, so that moves of later batches sort after those of earlier ones. */
export const newBatchId = (wallMs: number): string => `${wallMs.toString(36)}${randomBytes(2).toString("hex")}`;

export const moveIdOf = (batchId: string, index: number): string => `${batchId}-${index}`;

export const batchOf = (moveId: string): string => moveId.slice(0, Math.max(0, moveId.lastIndexOf("-")));

/** What has become of the moves that were started together. */
class Batch {
  readonly id: string;
  readonly #active = new Set<string>();
  readonly #failed = new Map<string, BatchSummary["failed"][number]>();
  #doneCount = 0;

  constructor(id: string) {
    this.id = id;
  }

  get isActive(): boolean {
    return this.#active.size > 0;
  }

  /** @returns whether this was the last of its moves to end */
  note(moveId: string, user: string, phase: MovePhase): boolean {
    if (isActivePhase(phase)) {
      this.#active.add(moveId);
      this.#failed.delete(moveId);
      return false;
    }
    const isNews = this.#active.delete(moveId);
    if (phase === "done" || phase === "rehearsed") this.#doneCount += 1;
    else this.#failed.set(moveId, { moveId, user, phase });
    return isNews && this.#active.size === 0;
  }

  summary(): BatchSummary {
    const failed = [...this.#failed.values()];
    return {
      id: this.id,
      total: this.#active.size + this.#doneCount + failed.length,
      active: this.#active.size,
      done: this.#doneCount,
      failed,
    };
  }
}

/** Batches that are kept in memory though they have ended. */
const MAX_KEPT = 100;

/** Batches with active moves; the others are counted from the directory when somebody asks. */
export class Batches {
  readonly #directory: Directory;
  readonly #known = new Map<string, Batch>();

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  /** Told of each change. @returns the summary, when this was the last of its batch to end */
  note(moveId: string, user: string, phase: MovePhase): BatchSummary | undefined {
    const id = batchOf(moveId);
    let batch = this.#known.get(id);
    if (batch === undefined) this.#known.set(id, (batch = new Batch(id)));
    if (!batch.note(moveId, user, phase)) return undefined;
    this.#forgetOldest();
    return batch.summary();
  }

  /** What has ended is kept for a while: its failed moves may be tried again. */
  #forgetOldest(): void {
    for (const [id, { isActive }] of this.#known) {
      if (this.#known.size <= MAX_KEPT) return;
      if (!isActive) this.#known.delete(id);
    }
  }

  /** Learns what had ended of the batches that are active. To be called before anything is noted. */
  async recover(active: ReadonlySet<string>): Promise<void> {
    if (active.size === 0) return;
    for await (const move of allMoves(this.#directory))
      if (active.has(batchOf(move.id))) this.note(move.id, move.user, move.state as MovePhase);
  }

  async find(id: string): Promise<BatchSummary | undefined> {
    const known = this.#known.get(id);
    if (known?.isActive === true) return known.summary();
    const counted = new Batch(id);
    for await (const move of allMoves(this.#directory))
      if (batchOf(move.id) === id) counted.note(move.id, move.user, move.state as MovePhase);
    const summary = counted.summary();
    return summary.total === 0 ? undefined : summary;
  }
}

/** Page by page, and others have their turn between them. */
export async function* allMoves(directory: Directory, isActive?: boolean): AsyncIterable<Move> {
  let afterNumber = 0;
  for (;;) {
    const page = directory.moves.list({ afterNumber, ...(isActive === undefined ? {} : { isActive }) });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    afterNumber = last.number;
    await new Promise((resolve) => void setImmediate(resolve));
  }
}
