import { median } from "../statistics.ts";
import { checkGoals, rateRatio, type GoalOutcome, type ScenarioRows } from "./rows.ts";

export const HEADING = `${"".padEnd(14)}messages/s   (lowest … highest)   time × haproxy   faster × dovecot   CPU µs/message   peak MB`;

/** A scenario's rows for the terminal. */
export function formatRows(scenario: ScenarioRows): string {
  const { name, tools, rows } = scenario;
  const lines = rows.map(({ peer, rates, cpuMicros, peakBytes, fault }) => {
    if (fault !== undefined) return `  ${peer.padEnd(12)}FAILED: ${fault}`;
    const haproxy = rateRatio(rows, "haproxy", peer);
    return [
      `  ${peer.padEnd(12)}`,
      round(median(rates)).padStart(10),
      `(${round(Math.min(...rates))} … ${round(Math.max(...rates))})`.padStart(23),
      (haproxy?.toFixed(2) ?? "-").padStart(17),
      (rateRatio(rows, peer, "dovecot")?.toFixed(1) ?? "-").padStart(19),
      (cpuMicros?.toFixed(0) ?? "-").padStart(17),
      (peakBytes === undefined ? "-" : (peakBytes / 1e6).toFixed(0)).padStart(10),
    ].join("");
  });
  return [`${name} (${tools})`, ...lines, ...checkGoals(scenario).map(formatGoal)].join("\n");
}

export function formatGoal({ what, reached, wanted, isMet }: GoalOutcome): string {
  const verdict = isMet ? "reached" : "MISSED";
  switch (what) {
    case "haproxy":
      return `  goal ${verdict}: ${reached.toFixed(2)} of HAProxy's time, ${wanted} wanted`;
    case "dovecot":
      return `  goal ${verdict}: ${reached.toFixed(1)} times as fast as Dovecot, ${wanted} wanted`;
    case "memory":
      return `  goal ${verdict}: ${(reached / 1e6).toFixed(0)} MB at most, ${(wanted / 1e6).toFixed(0)} wanted`;
  }
}

const round = (rate: number): string => (rate < 100 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en"));
