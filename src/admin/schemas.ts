import * as v from "valibot";

/** Names of members are an interface: scripts read them. Times are ISO 8601 in UTC, durations milliseconds. */
export const time = v.pipe(v.string(), v.isoTimestamp());
export const ms = v.pipe(v.number(), v.minValue(0));
export const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
export const name = v.pipe(v.string(), v.minLength(1), v.maxLength(1000));
/** In a query everything is text. */
export const wholeText = v.pipe(v.string(), v.regex(/^\d{1,15}$/, "expected a whole number"), v.transform(Number));
export const flagText = v.pipe(
  v.picklist(["true", "false"]),
  v.transform((text) => text === "true"),
);

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
});

/** Who asks for a change, for the history. */
export const authorEntries = {
  who: v.optional(name, "admin"),
  why: v.optional(v.pipe(v.string(), v.maxLength(1000)), ""),
};
