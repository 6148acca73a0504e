import type { LogEntry } from "./log.ts";

export type LookupResult = "found" | "absent" | "failed";

/** What the data path counts. Calls cost nanoseconds: nothing is formatted before somebody asks. */
export interface Metrics {
  /** Every line that is written; deliveries are counted from theirs. */
  onEntry(entry: LogEntry): void;
  /** A client of a table was answered. @param waitedMs undefined where the answer came in the same turn */
  onLookup(protocol: string, table: string, result: LookupResult, waitedMs: number | undefined): void;
}

export const NO_METRICS: Metrics = { onEntry: () => undefined, onLookup: () => undefined };
