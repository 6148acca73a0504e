import type { Clock } from "../../src/core/clock.ts";

export interface FakeClock extends Clock {
  /** Moves time on and fires what has come due, in order. */
  advance(byMs: number): void;
  /** Sets the wall clock, which moves no time. */
  setWall(wallMs: number): void;
  readonly pendingTimers: number;
}

export function createFakeClock(startMs = 1_800_000_000_000): FakeClock {
  let passedMs = 0;
  let epochMs = startMs;
  const timers = new Set<{ dueMs: number; fire: () => void }>();
  return {
    wallMs: () => epochMs + passedMs,
    nowMs: () => passedMs,
    after(delayMs, fire) {
      const timer = { dueMs: passedMs + delayMs, fire };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    setWall(wallMs) {
      epochMs = wallMs - passedMs;
    },
    advance(byMs) {
      const endMs = passedMs + byMs;
      for (;;) {
        const next = [...timers].filter((timer) => timer.dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
        if (next === undefined) break;
        timers.delete(next);
        passedMs = Math.max(passedMs, next.dueMs);
        next.fire();
      }
      passedMs = endMs;
    },
    get pendingTimers() {
      return timers.size;
    },
  };
}
