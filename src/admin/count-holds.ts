import { setImmediate as turn } from "node:timers/promises";
import type { DirectoryReader } from "../directory/directory.ts";
import { MAX_PAGE } from "../directory/names.ts";

export interface HoldCount {
  readonly count: number;
  /** When the oldest began, ms since the epoch; undefined where there is none. */
  readonly oldestSinceMs: number | undefined;
}

/** Page by page, giving way to deliveries between them. @throws DirectoryFailed */
export async function countHolds({ holds }: Pick<DirectoryReader, "holds">): Promise<HoldCount> {
  let count = 0;
  let oldestSinceMs: number | undefined;
  for (let afterGeneration = 0; ;) {
    const page = holds.list({ afterGeneration, limit: MAX_PAGE });
    count += page.length;
    for (const { sinceMs } of page) oldestSinceMs = Math.min(oldestSinceMs ?? sinceMs, sinceMs);
    const last = page.at(-1);
    if (last === undefined || page.length < MAX_PAGE) return { count, oldestSinceMs };
    afterGeneration = last.generation;
    await turn();
  }
}
