import type { Clock } from "../../core/clock.ts";
import type { BreakerOptions } from "../options.ts";

/** Whether a lookup may go to the source, and if so, how its outcome is told. */
export type Admission =
  | { readonly kind: "admitted"; readonly isProbe: boolean }
  | { readonly kind: "refused"; readonly reason: string };

export interface BreakerEvents {
  /** The source is let alone now. */
  opened(reason: string, forMs: number): void;
  /** The source answers again. */
  closed(downMs: number): void;
}

const ADMITTED: Admission = { kind: "admitted", isProbe: false };
const PROBE: Admission = { kind: "admitted", isProbe: true };

type State =
  | { readonly phase: "closed"; readonly failures: number }
  | {
      readonly phase: "open";
      readonly sinceMs: number;
      readonly untilMs: number;
      readonly backoffMs: number;
      readonly reason: string;
      readonly isProbing: boolean;
    };

const CLOSED: State = { phase: "closed", failures: 0 };

/**
 * Lets a source alone after several failures in a row: lookups fail at once, and after a while one at a time is
 * let through to see whether it is back. Each time it is not, the while doubles; it is jittered so that several
 * daemons do not come back in the same instant.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #clock: Clock;
  readonly #events: BreakerEvents;
  readonly #random: () => number;
  #state: State = CLOSED;

  constructor(options: BreakerOptions, clock: Clock, events: BreakerEvents, random: () => number = Math.random) {
    this.#options = options;
    this.#clock = clock;
    this.#events = events;
    this.#random = random;
  }

  admit(): Admission {
    const state = this.#state;
    if (state.phase === "closed") return ADMITTED;
    const leftMs = state.untilMs - this.#clock.nowMs();
    if (leftMs > 0 || state.isProbing) {
      const wait = leftMs > 0 ? `, tried again in ${Math.ceil(leftMs / 1000)} s` : ", being tried again";
      return { kind: "refused", reason: `the source is down${wait}: ${state.reason}` };
    }
    this.#state = { ...state, isProbing: true };
    return PROBE;
  }

  /** The source answered, whatever it said of the key. */
  succeeded(): void {
    const state = this.#state;
    if (state.phase === "open") this.#events.closed(this.#clock.nowMs() - state.sinceMs);
    this.#state = CLOSED;
  }

  failed({ isProbe }: { readonly isProbe: boolean }, reason: string): void {
    const state = this.#state;
    switch (state.phase) {
      case "closed": {
        const failures = state.failures + 1;
        if (failures < this.#options.failures) this.#state = { phase: "closed", failures };
        else this.#open(this.#clock.nowMs(), this.#options.minBackoffMs, reason, true);
        return;
      }
      case "open":
        // Lookups that were under way when it opened say nothing new.
        if (isProbe) this.#open(state.sinceMs, state.backoffMs * 2, reason, false);
        return;
    }
  }

  /** Nothing is known of the source by it. */
  abandoned({ isProbe }: { readonly isProbe: boolean }): void {
    const state = this.#state;
    if (isProbe && state.phase === "open") this.#state = { ...state, isProbing: false };
  }

  #open(sinceMs: number, wantedMs: number, reason: string, isNew: boolean): void {
    const backoffMs = Math.min(wantedMs, this.#options.maxBackoffMs);
    const forMs = backoffMs * (0.75 + this.#random() / 4);
    const untilMs = this.#clock.nowMs() + forMs;
    this.#state = { phase: "open", sinceMs, untilMs, backoffMs, reason, isProbing: false };
    if (isNew) this.#events.opened(reason, forMs);
  }
}
