export interface Timer {
  cancel(): void;
}

/** Time as the daemon sees it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds since the epoch: for log lines and file names. */
  wallMs(): number;
  /** Milliseconds that never go back: for delays and deadlines. */
  nowMs(): number;
  /** Calls `fire` once, `delayMs` from now. A timer never keeps the process alive. */
  after(delayMs: number, fire: () => void): Timer;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, fire) {
    const timeout = setTimeout(fire, delayMs);
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};
