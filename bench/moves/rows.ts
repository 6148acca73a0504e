import type { Goal } from "../goals.ts";
import { median, quantile } from "../statistics.ts";
import type { RateRound } from "./rate.ts";

/** In ms. */
export interface LatencyRow {
  readonly name: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface RateRow {
  readonly name: string;
  /** Moves a second, of each round. */
  readonly rates: readonly number[];
  /** For each move. */
  readonly cpuMs: number;
  readonly commandMs: number;
  /** Of the first round that failed. */
  readonly fault: string | undefined;
}

export interface MoveResults {
  readonly latencies: readonly LatencyRow[];
  /** What SQLite commits here, of one row each, a second. */
  readonly commitsPerSecond: number;
  readonly rates: readonly RateRow[];
  readonly goals: readonly Goal[];
  /** What must not happen, and did. */
  readonly faults: readonly string[];
}

export const toLatencyRow = (name: string, samplesMs: readonly number[]): LatencyRow => ({
  name,
  p50Ms: quantile(samplesMs, 0.5),
  p99Ms: quantile(samplesMs, 0.99),
  maxMs: quantile(samplesMs, 1),
});

/** @param rounds the first one was to warm up, but must not fail either */
export function toRateRow(name: string, rounds: readonly RateRound[]): RateRow {
  const done = rounds.slice(1).filter((round) => round.kind === "done");
  return {
    name,
    rates: done.map(({ movesPerSecond }) => movesPerSecond),
    cpuMs: median(done.map(({ cpuMicros }) => cpuMicros)) / 1_000,
    commandMs: median(done.map(({ commandMicros }) => commandMicros)) / 1_000,
    fault: rounds.find((round) => round.kind === "failed")?.reason,
  };
}

export function showLatencies(rows: readonly LatencyRow[]): void {
  for (const { name, p50Ms, p99Ms, maxMs } of rows) {
    const [p50, p99, max] = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(2).padStart(9));
    console.log(`  ${name.padEnd(44)}p50${p50}  p99${p99}  max${max}`);
  }
}

export function showRates(rows: readonly RateRow[]): void {
  console.log(`${"".padEnd(44)}  moves/s (lowest … highest)   CPU ms/move   of commands`);
  for (const { name, rates, cpuMs, commandMs, fault } of rows) {
    if (fault !== undefined) {
      console.log(`  ${name}: FAILED: ${fault}`);
      continue;
    }
    const spread = ` (${Math.min(...rates).toFixed(0)} … ${Math.max(...rates).toFixed(0)})`;
    console.log(
      [
        `  ${name}`.padEnd(44),
        median(rates).toFixed(0).padStart(9),
        spread.padEnd(20),
        cpuMs.toFixed(2).padStart(11),
        commandMs.toFixed(2).padStart(14),
      ].join(""),
    );
  }
}
