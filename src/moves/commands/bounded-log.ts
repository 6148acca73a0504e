import { appendFile, open } from "node:fs/promises";
import type { Clock, Timer } from "../../core/clock.ts";

/** Longest log of a move, in bytes. */
export const MAX_LOG_BYTES = 8 * 1024 * 1024;

/** Of the beginning and of the end of a log that has become longer, so many bytes are kept. */
const KEPT_BYTES = 1024 * 1024;

/** How often the log of a command under way is looked at, in ms: it may be longer by what is written meanwhile. */
const LOOK_EVERY_MS = 1_000;

/**
 * Cuts the middle out of a log that has become too long. Whoever appends to it does not notice, and never waits; what is
 * written in the very moment of the cut may be lost. A pipe would do both: block commands, and fail those that open /dev/stderr.
 * @throws what the system says
 */
export async function cutLog(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    if (size <= MAX_LOG_BYTES) return;
    const tail = Buffer.alloc(KEPT_BYTES);
    const { bytesRead } = await file.read(tail, 0, KEPT_BYTES, size - KEPT_BYTES);
    await file.truncate(KEPT_BYTES);
    const mark = `\n--- ${size - 2 * KEPT_BYTES} bytes are left out here: no log may be longer than ${MAX_LOG_BYTES}\n`;
    await appendFile(path, Buffer.concat([Buffer.from(mark), tail.subarray(0, bytesRead)]));
  } finally {
    await file.close();
  }
}

/** Keeps a log within its bound. Its faults are nobody's: a log is no reason to end a command. @returns ends it */
export function watchLog(path: string, clock: Clock): () => Promise<void> {
  const cut = (): Promise<void> => cutLog(path).catch(() => undefined);
  let isWatched = true;
  let cutting = Promise.resolve();
  let timer: Timer;
  const look = (): void => {
    timer = clock.after(LOOK_EVERY_MS, () => {
      cutting = cut().then(() => (isWatched ? look() : undefined));
    });
  };
  look();
  return async () => {
    isWatched = false;
    timer.cancel();
    await cutting;
    await cut();
  };
}
