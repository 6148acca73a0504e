import type { AuthorityRow } from "../mail/authorities.ts";
import { IDLE_GOAL_BYTES, type IdleRow } from "../mail/idle.ts";
import { isGoalMet, type ManyUsersRow } from "../mail/many-users.ts";
import { checkGoals, rateRatio, type GoalOutcome, type ScenarioRows } from "../mail/rows.ts";
import { median } from "../statistics.ts";
import { drawBarChart } from "./bar-chart.ts";
import { markdownTable } from "./markdown.ts";

const BARS = ["mailshunt", "nginx", "dovecot"] as const;

/** Messages per second where HAProxy has 1. */
export function drawComparison(scenarios: readonly ScenarioRows[]): string {
  const withHaproxy = scenarios.filter(({ rows }) => rateRatio(rows, "mailshunt", "haproxy") !== undefined);
  return drawBarChart({
    title: "Messages per second, HAProxy = 1",
    seriesNames: BARS,
    groups: withHaproxy.map(({ name, rows }) => ({
      name,
      values: BARS.map((peer) => rateRatio(rows, peer, "haproxy")),
    })),
    format: (value) => String(Number(value.toFixed(2))),
    mark: 1,
  });
}

export function goalsTable(scenarios: readonly ScenarioRows[]): string {
  return markdownTable(
    ["scenario", "of HAProxy's time", "goal", "faster than Dovecot", "goal", "peak memory", "goal"],
    scenarios.map((scenario) => {
      const goals = checkGoals(scenario);
      const cells = (what: GoalOutcome["what"], format: (value: number) => string): string[] => {
        const goal = goals.find((each) => each.what === what);
        if (goal === undefined) return ["–", "–"];
        return [format(goal.reached), formatGoal(format(goal.wanted), goal.isMet)];
      };
      return [
        scenario.name,
        ...cells("haproxy", (value) => value.toFixed(2)),
        ...cells("dovecot", (value) => value.toFixed(1)),
        ...cells("memory", megabytes),
      ];
    }),
  );
}

/** Everything that was measured, one line for each peer in each scenario. */
export function mailTable(scenarios: readonly ScenarioRows[]): string {
  const heading = [
    "scenario, tools, peer",
    "messages/s",
    "lowest … highest",
    "of HAProxy's time",
    "× Dovecot",
    "CPU µs",
    "peak memory",
  ];
  return markdownTable(
    heading,
    scenarios.flatMap(({ name, tools, rows }) => [
      [`**${name}** (${tools})`],
      ...rows.map(({ peer, rates, cpuMicros, peakBytes, fault }) =>
        fault !== undefined
          ? [peer, "**FAILED**", fault.replaceAll(/[|\n]/g, " ")]
          : [
              peer,
              formatRate(median(rates)),
              `${formatRate(Math.min(...rates))} … ${formatRate(Math.max(...rates))}`,
              rateRatio(rows, "haproxy", peer)?.toFixed(2) ?? "–",
              rateRatio(rows, peer, "dovecot")?.toFixed(1) ?? "–",
              cpuMicros?.toFixed(0) ?? "–",
              peakBytes === undefined ? "–" : megabytes(peakBytes),
            ],
      ),
    ]),
  );
}

/** What one core does, by the CPU time of each message. */
export function sizingTable(scenarios: readonly ScenarioRows[], idle: readonly IdleRow[]): string {
  const table = markdownTable(
    ["scenario", "CPU of a message", "messages/s a core"],
    scenarios.flatMap(({ name, rows }) => {
      const cpuMicros = rows.find(({ peer }) => peer === "mailshunt")?.cpuMicros;
      if (cpuMicros === undefined) return [];
      return [[name, `${Math.round(cpuMicros).toLocaleString("en")} µs`, formatRate(1e6 / cpuMicros)]];
    }),
  );
  const peaks = scenarios.flatMap(({ isSmall, rows }) =>
    rows.flatMap(({ peer, peakBytes }) => (isSmall && peer === "mailshunt" ? (peakBytes ?? []) : [])),
  );
  const idleBytes = idle.find(({ peer }) => peer === "mailshunt")?.bytesPerConnection ?? Number.NaN;
  const memory = [
    `Memory of one worker under this load: ${megabytes(Math.min(...peaks))} to ${megabytes(Math.max(...peaks))} where messages are small.`,
    `An idle connection: ${(idleBytes / 1_024).toFixed(1)} KiB.`,
  ];
  return [table, memory.join(" ")].join("\n\n");
}

export const idleTable = (rows: readonly IdleRow[]): string =>
  markdownTable(
    ["peer", "connections", "memory of each", "goal"],
    rows.map(({ peer, connections, bytesPerConnection, fault }) => [
      peer,
      connections.toLocaleString("en"),
      fault === undefined ? `${(bytesPerConnection / 1_024).toFixed(1)} KiB` : "**FAILED**",
      peer === "mailshunt" ? formatGoal(`${IDLE_GOAL_BYTES / 1_024} KiB`, bytesPerConnection <= IDLE_GOAL_BYTES) : "–",
    ]),
  );

export const manyUsersTable = (rows: readonly ManyUsersRow[]): string =>
  markdownTable(
    [
      "scenario (lmtp-load → lmtp-sink)",
      "messages/s, 10 users",
      "a million",
      "slower by",
      "goal",
      "memory, 10 users",
      "a million",
    ],
    rows.map((row) =>
      row.fault === undefined
        ? [
            row.name,
            formatRate(median(row.few)),
            formatRate(median(row.many)),
            `${(row.slower * 100).toFixed(1)} %`,
            formatGoal("3 %", isGoalMet(row)),
            megabytes(row.fewBytes),
            megabytes(row.manyBytes),
          ]
        : [row.name, "**FAILED**", row.fault.replaceAll(/[|\n]/g, " ")],
    ),
  );

export const authoritiesTable = (rows: readonly AuthorityRow[]): string =>
  markdownTable(
    ["where users live", "messages/s", "lowest … highest", "p99 of a message", "CPU µs/message"],
    rows.map(({ name, rates, p99Ms, cpuMicros, fault }) =>
      fault === undefined
        ? [
            name,
            formatRate(median(rates)),
            `${formatRate(Math.min(...rates))} … ${formatRate(Math.max(...rates))}`,
            `${p99Ms.toFixed(1)} ms`,
            cpuMicros.toFixed(0),
          ]
        : [name, "**FAILED**", fault.replaceAll(/[|\n]/g, " ")],
    ),
  );

const formatGoal = (wanted: string, isMet: boolean): string => `${wanted} ${isMet ? "reached" : "**missed**"}`;
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
const formatRate = (rate: number): string => (rate < 100 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en"));
