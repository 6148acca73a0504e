import { median } from "../statistics.ts";
import type { PeerName } from "./peers/peer.ts";
import type { Round } from "./round.ts";
import type { Scenario } from "./scenarios.ts";

/** One peer in one scenario. */
export interface MailRow {
  readonly peer: PeerName;
  /** Messages per second, one for each round, in order. */
  readonly rates: readonly number[];
  readonly cpuMicros: number | undefined;
  readonly peakBytes: number | undefined;
  /** Of the first round that failed. */
  readonly fault: string | undefined;
}

export interface ScenarioRows extends Pick<Scenario, "name" | "goals" | "isSmall"> {
  /** Which programs sent and took. */
  readonly tools: string;
  readonly rows: readonly MailRow[];
}

/** @param rounds the first one was to warm up, but must not fail either */
export function toRow(peer: PeerName, rounds: readonly Round[], peakBytes: number | undefined): MailRow {
  const done = rounds.slice(1).filter((round) => round.kind === "done");
  const cpu = done.flatMap(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage ?? []);
  return {
    peer,
    rates: done.map(({ messagesPerSecond }) => messagesPerSecond),
    cpuMicros: cpu.length === 0 ? undefined : median(cpu),
    peakBytes,
    fault: rounds.find((round) => round.kind === "failed")?.reason,
  };
}

/**
 * How many times as many messages per second as another: the median of the ratios of each round, so that what slowed
 * both down in a round does not show. Undefined where one of them was not measured or failed.
 */
export function rateRatio(rows: readonly MailRow[], peer: PeerName, to: PeerName): number | undefined {
  const [row, other] = [peer, to].map((name) => rows.find((each) => each.peer === name));
  if (row === undefined || other === undefined || (row.fault ?? other.fault) !== undefined) return undefined;
  return median(row.rates.map((rate, round) => rate / (other.rates[round] ?? Number.NaN)));
}

export interface GoalOutcome {
  readonly what: "haproxy" | "dovecot" | "memory";
  readonly reached: number;
  readonly wanted: number;
  readonly isMet: boolean;
}

/** Peak of mailshunt with one worker, in bytes, where messages are small. */
const PEAK_GOAL_BYTES = 130_000_000;

/** What mailshunt was to reach in a scenario, as far as it was measured. Goals are no tests: a busy machine may miss them. */
export function checkGoals({ goals, isSmall, rows }: ScenarioRows): GoalOutcome[] {
  const outcomes: GoalOutcome[] = [];
  const overHaproxy = rateRatio(rows, "mailshunt", "haproxy");
  if (overHaproxy !== undefined && goals.haproxyAtMost !== undefined) {
    const [reached, wanted] = [1 / overHaproxy, goals.haproxyAtMost];
    outcomes.push({ what: "haproxy", reached, wanted, isMet: reached <= wanted });
  }
  const overDovecot = rateRatio(rows, "mailshunt", "dovecot");
  if (overDovecot !== undefined)
    outcomes.push({
      what: "dovecot",
      reached: overDovecot,
      wanted: goals.dovecotAtLeast,
      isMet: overDovecot >= goals.dovecotAtLeast,
    });
  const peakBytes = rows.find(({ peer }) => peer === "mailshunt")?.peakBytes;
  if (isSmall && peakBytes !== undefined)
    outcomes.push({
      what: "memory",
      reached: peakBytes,
      wanted: PEAK_GOAL_BYTES,
      isMet: peakBytes <= PEAK_GOAL_BYTES,
    });
  return outcomes;
}
