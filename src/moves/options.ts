import { section, withDefault } from "../core/option-schema.ts";
import { count, duration } from "../core/option-values.ts";
import type { SectionOutput } from "../core/option-schema.ts";

export interface HoldOptions {
  /** How long the recipients of one transaction wait for a release before 450, in ms; 0: not at all. */
  readonly parkMs: number;
  /** How many wait at once, per client address. */
  readonly maxParked: number;
  /** After which a hold is released, unless its owner says otherwise, in ms. */
  readonly deadlineMs: number;
}

export interface DrainOptions {
  /** How long deliveries before their final dot may take before they are cut, in ms. */
  readonly graceMs: number;
  /** How long after its last sign of life an uncertain delivery may still reach its store, in ms. */
  readonly settleMs: number;
  /** For a drain as a whole, in ms. */
  readonly timeoutMs: number;
}

const holdEntries = {
  park: withDefault(duration(0), "45s", {
    description:
      "How long mail for a held user waits for the release before it hears 450, for all recipients of a message together; `0s` for not at all.",
  }),
  max_parked: withDefault(count(0, 100_000), "10", {
    description:
      "Recipients that wait at once, per client address; more hear 450 at once. Each keeps one of the connections that " +
      "Postfix opens (`default_destination_concurrency_limit`, 20).",
  }),
  deadline: withDefault(duration(1000), "15m", {
    description: "After which a hold is released, if it was not extended and no move has passed its switch.",
  }),
};

const drainEntries = {
  grace: withDefault(duration(0), "5s", {
    description: "How long deliveries for a held user may take to their final dot before they are cut off with 451.",
  }),
  settle: withDefault(duration(0), "60s", {
    description:
      "How long after a delivery whose reply was lost the store may still be finishing it: no drain of its user succeeds before.",
  }),
  timeout: withDefault(duration(1000), "10m", {
    description: "How long a drain waits in all. More than `final_timeout` of the stores, or a slow one ends moves.",
  }),
};

export { movesSchema, toMovesOptions } from "./moves-options.ts";
export type { MovesOptions } from "./moves-options.ts";

export const holdSchema = section(holdEntries);
export const drainSchema = section(drainEntries);

export const toHoldOptions = (given: SectionOutput<typeof holdEntries>): HoldOptions => ({
  parkMs: given.park,
  maxParked: given.max_parked,
  deadlineMs: given.deadline,
});

export const toDrainOptions = (given: SectionOutput<typeof drainEntries>): DrainOptions => ({
  graceMs: given.grace,
  settleMs: given.settle,
  timeoutMs: given.timeout,
});
