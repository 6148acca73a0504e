import type { Clock, Timer } from "../../src/core/clock.ts";

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  isCancelled: boolean;
}

/** Time of a simulation: moves on from one thing that is due to the next. */
export class SimClock {
  #nowMs = 0;
  #order = 0;
  /** A heap by time, then order. */
  readonly #heap: Due[] = [];
  static readonly START_MS = 1_800_000_000_000;

  get nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + Math.max(0, delayMs), order: (this.#order += 1), fire, isCancelled: false };
    this.#push(due);
    return { cancel: () => (due.isCancelled = true) };
  }

  /** The clock of one process, which stops when the process is killed. */
  forProcess(isDead: () => boolean): Clock {
    return {
      nowMs: () => this.#nowMs,
      wallMs: () => SimClock.START_MS + this.#nowMs,
      after: (delayMs, fire) =>
        this.after(delayMs, () => {
          if (!isDead()) fire();
        }),
    };
  }

  /** Runs until `isDone` or until nothing is left that is due before `untilMs`. */
  async run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    await settle();
    while (!isDone()) {
      const next = this.#pop();
      if (next === undefined) break;
      if (next.isCancelled) continue;
      if (next.atMs > untilMs) {
        this.#push(next);
        break;
      }
      this.#nowMs = next.atMs;
      next.fire();
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, isDone() ? 0 : untilMs);
  }

  #push(due: Due): void {
    const heap = this.#heap;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(due, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      let least = last;
      let next = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const below = heap[child];
        if (below !== undefined && isBefore(below, least)) [least, next] = [below, child];
      }
      heap[at] = least;
      if (next === at) return first;
      at = next;
    }
  }
}

const isBefore = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

/** All that follows from what has happened has happened. */
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export interface Random {
  /** At least 0, less than 1. */
  next(): number;
  chance(probability: number): boolean;
  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number;
  pick<Item>(items: readonly Item[]): Item;
}

/** Mulberry32: small, and the same everywhere. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    next,
    chance: (probability) => next() < probability,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick<Item>(items: readonly Item[]): Item {
      const item = items[Math.floor(next() * items.length)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    },
  };
}
