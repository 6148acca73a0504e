import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Directory } from "../../src/directory/directory.ts";

export const AUTHOR = { who: "bench", why: "bench" };

/** Between two of each, in ms. */
const HOLD_EVERY_MS = 20;
const FIND_EVERY_MS = 5;

/** Users of holds and finds. */
const USERS = 100_000;

/** What others of the daemon do, and how long it took them. */
export interface Watched {
  readonly holdsMs: readonly number[];
  readonly findsMicros: readonly number[];
  readonly loop: ReturnType<typeof monitorEventLoopDelay>;
}

/** Places holds and finds users until it is told to stop. */
export function watchOthers(directory: Directory, userOf: (number: number) => string): { stop(): Promise<Watched> } {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  let isRunning = true;
  const findsMicros: number[] = [];
  const finding = setInterval(() => {
    const startMs = performance.now();
    directory.find(userOf(Math.floor(Math.random() * USERS)));
    findsMicros.push((performance.now() - startMs) * 1_000);
  }, FIND_EVERY_MS);
  const holding = placeHolds(directory, () => isRunning);
  return {
    async stop() {
      isRunning = false;
      clearInterval(finding);
      loop.disable();
      return { holdsMs: await holding, findsMicros, loop };
    },
  };
}

/** One after the other, until it is told to stop. @returns how long each took, in ms */
export async function placeHolds(directory: Directory, mayGoOn: () => boolean): Promise<number[]> {
  const tookMs: number[] = [];
  for (let number = 0; mayGoOn(); number += 1) {
    const hold = { user: `held${number}@example.com`, owner: "bench", reason: "", deadlineMs: Date.now() };
    const startMs = performance.now();
    await directory.holds.place(hold, AUTHOR);
    tookMs.push(performance.now() - startMs);
    await directory.holds.release(hold, AUTHOR);
    await sleep(HOLD_EVERY_MS);
  }
  return tookMs;
}
