import { findRow, ratioOf, type TableRow } from "./rows.ts";

/** What is to be reached in one run, with ten connections. */
const GOALS: readonly { readonly row: string; readonly to: string; readonly ratio: number; readonly p99Ms?: number }[] =
  [
    { row: "mailshunt static, socketmap", to: "Redis GET, unix", ratio: 0.8, p99Ms: 0.5 },
    { row: "mailshunt static, dict", to: "Redis GET, unix", ratio: 0.8, p99Ms: 0.5 },
    { row: "mailshunt static, tcp-table", to: "Redis GET, TCP", ratio: 0.8, p99Ms: 0.5 },
    { row: "mailshunt url, cached", to: "podop", ratio: 40 },
    { row: "mailshunt url, socketmap", to: "podop", ratio: 3 },
  ];

/** Goals are no tests: a busy machine may miss them. */
export function showGoals(rows: readonly TableRow[]): void {
  for (const { row: start, to: other, ratio, p99Ms } of GOALS) {
    const row = findRow(rows, start);
    const to = findRow(rows, other);
    if (row === undefined || to === undefined) continue;
    const reached = ratioOf(row, to);
    const isReached = reached >= ratio && (p99Ms === undefined || row.p99Ms < p99Ms);
    const latency = p99Ms === undefined ? "" : `, p99 ${row.p99Ms.toFixed(2)} of ${p99Ms} ms`;
    console.log(
      `  goal ${isReached ? "reached" : "MISSED"}: ${row.name} is ${reached.toFixed(2)} of ${to.name}, ${ratio} wanted${latency}`,
    );
  }
}
