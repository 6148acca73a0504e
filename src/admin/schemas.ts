import * as v from "valibot";
import { MAX_DURATION_MS } from "../core/units.ts";
import { describeNameFault } from "../directory/names.ts";

/** Names of members are an interface: scripts read them. Times are ISO 8601 in UTC, durations milliseconds. */
export const time = v.pipe(v.string(), v.isoTimestamp());
export const ms = v.pipe(v.number(), v.minValue(0));
export const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
/** Whatever the directory takes for a name, and no more. */
export const name = v.pipe(
  v.string(),
  v.minLength(1, "is empty"),
  v.check(
    (given) => describeNameFault(given) === undefined,
    (issue) => describeNameFault(issue.input) ?? "",
  ),
  v.check((given) => !hasControl(given), "has a control character"),
);
/** Text that people read in logs, in replies to mail servers and on terminals. */
export const note = (maxLength: number): v.GenericSchema<string> =>
  v.pipe(
    v.string(),
    v.maxLength(maxLength, `has more than ${maxLength} characters`),
    v.check((given) => !hasControl(given) && given.isWellFormed(), "has a character that cannot be shown"),
  );
/** In a query everything is text. */
export const wholeText = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,14}$/, "expected a whole number, 1 at least"),
  v.transform(Number),
);
export const flagText = v.pipe(
  v.picklist(["true", "false"]),
  v.transform((text) => text === "true"),
);
/** Up to the longest that a timer can count. */
export const waitMs = v.pipe(v.number(), v.integer(), v.minValue(1000), v.maxValue(MAX_DURATION_MS));

export const toTime = (wallMs: number): string => new Date(wallMs).toISOString();

export const delivery = v.object({
  user: v.string(),
  session: v.string(),
  backend: v.optional(v.string()),
  stage: v.string(),
  age_ms: ms,
});

export const hold = v.object({
  user: v.string(),
  owner: v.string(),
  reason: v.string(),
  since: time,
  deadline: time,
  age_ms: ms,
  generation: whole,
});

/** Who may touch the user of an active move is that move alone: nobody may call himself so. */
export const notOfMove = v.pipe(
  name,
  v.check((given) => !given.startsWith("move:"), "move:… are moves themselves"),
);

/** Who asks for a change, for the history. */
export const authorEntries = {
  who: v.optional(notOfMove, "admin"),
  why: v.optional(note(1000), ""),
};

/** Entries of a list. */
export const DEFAULT_PAGE = 100;
export const MAX_PAGE = 1000;

export const pageSize = (asked: number | undefined): number => Math.min(asked ?? DEFAULT_PAGE, MAX_PAGE);

/** C0, DEL and C1: what could end a line or move a terminal's cursor. */
export function hasControl(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text);
}
