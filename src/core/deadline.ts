import type { Clock, Timer } from "./clock.ts";

/**
 * A deadline that is moved often and missed seldom: moving it costs no timer, a timer that
 * fires too early looks at the clock and waits for the rest.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #onMissed: () => void;
  #dueMs: number | undefined;
  #timer: Timer | undefined;
  #timerDueMs = 0;

  constructor(clock: Clock, onMissed: () => void) {
    this.#clock = clock;
    this.#onMissed = onMissed;
  }

  /** Calls `onMissed` unless moved or cleared within `delayMs`. @param nowMs for who has asked the clock already */
  set(delayMs: number, nowMs: number = this.#clock.nowMs()): void {
    const dueMs = nowMs + delayMs;
    this.#dueMs = dueMs;
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    this.#arm(dueMs, delayMs);
  }

  /** Nothing is waited for; the timer may still fire, and finds nothing to do. */
  clear(): void {
    this.#dueMs = undefined;
  }

  /** Clears and lets go of the timer. */
  end(): void {
    this.#dueMs = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(dueMs: number, delayMs: number): void {
    this.#timerDueMs = dueMs;
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#timer = undefined;
    if (this.#dueMs === undefined) return;
    const leftMs = this.#dueMs - this.#clock.nowMs();
    if (leftMs > 0) this.#arm(this.#dueMs, leftMs);
    else {
      this.#dueMs = undefined;
      this.#onMissed();
    }
  }
}
