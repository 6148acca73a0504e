import type { Hold } from "../directory.ts";
import { MAX_PAGE } from "../names.ts";

/** In the order of `HoldRow`. */
export const HOLD_COLUMNS =
  "holds.user, holds.owner, holds.generation, holds.reason, holds.since_ms, holds.deadline_ms";

export type HoldRow = [
  user: string,
  owner: string,
  generation: number,
  reason: string,
  sinceMs: number,
  deadlineMs: number,
];

export const toHold = ([user, owner, generation, reason, sinceMs, deadlineMs]: HoldRow): Hold => ({
  user,
  owner,
  generation,
  reason,
  sinceMs,
  deadlineMs,
});

/** Rows of a page. */
export const pageLimit = (wanted: number | undefined): number => Math.min(wanted ?? MAX_PAGE, MAX_PAGE);
