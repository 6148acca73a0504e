import type { Clock } from "../../core/clock.ts";

/** Resolves after `delayMs`, or at once when the signal is aborted: look at it then. */
export function wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted || delayMs <= 0) return resolve();
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(delayMs, end);
    signal.addEventListener("abort", end);
  });
}

/** First and longest wait between tries of what has to be done, in ms. */
const FIRST_MS = 200;
const LONGEST_MS = 30_000;

export const backOffMs = (tries: number): number => Math.min(FIRST_MS * 2 ** Math.min(tries, 20), LONGEST_MS);

export interface Persistence {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of each try that failed. */
  readonly alarm: (text: string) => void;
}

/** The daemon stops: somebody else goes on from the journal. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/**
 * Does what has to be done, however often it fails.
 * @throws Stopped once the signal is aborted
 */
export async function persist<Result>(
  what: string,
  { clock, signal, alarm }: Persistence,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (let tries = 0; ; tries += 1) {
    if (signal.aborted) throw new Stopped(what);
    try {
      return await attempt();
    } catch (error) {
      alarm(`${what}: ${error instanceof Error ? error.message : String(error)}; trying again`);
    }
    await wait(clock, backOffMs(tries), signal);
  }
}
