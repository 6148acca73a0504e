import { median } from "../statistics.ts";

export type TableRound =
  | {
      readonly kind: "done";
      readonly lookupsPerSecond: number;
      readonly p50Ms: number;
      readonly p99Ms: number;
      readonly cpuMicrosPerLookup: number | undefined;
    }
  | { readonly kind: "failed"; readonly reason: string };

export interface TableRow {
  readonly name: string;
  /** One for each round, in order. */
  readonly rates: readonly number[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number | undefined;
  /** Of the first round that failed. */
  readonly fault: string | undefined;
}

/** @param rounds the first one was to warm up, but must not fail either */
export function toRow(name: string, rounds: readonly TableRound[]): TableRow {
  const done = rounds.slice(1).filter((round) => round.kind === "done");
  const cpu = done.flatMap(({ cpuMicrosPerLookup }) => cpuMicrosPerLookup ?? []);
  return {
    name,
    rates: done.map(({ lookupsPerSecond }) => lookupsPerSecond),
    p50Ms: median(done.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(done.map(({ p99Ms }) => p99Ms)),
    cpuMicros: cpu.length === 0 ? undefined : median(cpu),
    fault: rounds.find((round) => round.kind === "failed")?.reason,
  };
}

/** The median of the ratios of each round: what slowed both down in a round does not show. */
export function ratioOf(row: TableRow, to: TableRow): number {
  return median(row.rates.map((rate, round) => rate / (to.rates[round] ?? Number.NaN)));
}

export function findRow(rows: readonly TableRow[], start: string): TableRow | undefined {
  return rows.find(({ name }) => name.startsWith(start));
}

const NAME_WIDTH = 36;

export function showRows(rows: readonly TableRow[]): void {
  const redis = { unix: findRow(rows, "Redis GET, unix"), TCP: findRow(rows, "Redis GET, TCP") };
  const podop = findRow(rows, "podop");
  console.log(`${"".padEnd(NAME_WIDTH)}lookups/s (lowest … highest)   to Redis  to podop    p50 ms    p99 ms   CPU µs`);
  for (const row of rows) {
    if (row.fault !== undefined) {
      console.log(`  ${row.name}: FAILED: ${row.fault}`);
      continue;
    }
    const sameRedis = row.name.endsWith("TCP") ? redis.TCP : redis.unix;
    const spread = `(${thousands(Math.min(...row.rates))} … ${thousands(Math.max(...row.rates))})`;
    console.log(
      [
        `  ${row.name}`.padEnd(NAME_WIDTH),
        thousands(median(row.rates)).padStart(9),
        spread.padStart(20),
        (sameRedis === undefined ? "-" : ratioOf(row, sameRedis).toFixed(2)).padStart(11),
        (podop === undefined ? "-" : ratioOf(row, podop).toFixed(1)).padStart(10),
        row.p50Ms.toFixed(3).padStart(10),
        row.p99Ms.toFixed(3).padStart(10),
        (row.cpuMicros?.toFixed(1) ?? "-").padStart(9),
      ].join(""),
    );
  }
}

const thousands = (count: number): string => Math.round(count).toLocaleString("en");
