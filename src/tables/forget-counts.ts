import type { Clock } from "../core/clock.ts";

/** Longer than any client waits for an answer, in ms. */
const KEPT_MS = 120_000;

interface Kept {
  readonly count: number;
  readonly atMs: number;
}

/** How often what was known of a key had to be forgotten lately: an answer that was under way meanwhile is old. */
export class ForgetCounts {
  readonly #clock: Clock;
  /** Those that were forgotten last are the last. */
  readonly #kept = new Map<string, Kept>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(key: string): void {
    const nowMs = this.#clock.nowMs();
    const count = this.of(key) + 1;
    this.#kept.delete(key);
    this.#kept.set(key, { count, atMs: nowMs });
    for (const [oldest, { atMs }] of this.#kept) {
      if (atMs > nowMs - KEPT_MS) break;
      this.#kept.delete(oldest);
    }
  }

  of(key: string): number {
    return this.#kept.get(key)?.count ?? 0;
  }
}
