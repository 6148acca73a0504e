import type { DirectoryResults } from "../directory/directory.ts";
import { formatFigure, type Goal } from "../goals.ts";
import type { MoveResults } from "../moves/rows.ts";
import { median } from "../statistics.ts";
import { markdownTable } from "./markdown.ts";

export function movesTables({ latencies, commitsPerSecond, rates, goals, faults }: MoveResults): string {
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  return [
    goalsTable(goals),
    markdownTable(
      ["latency", "p50", "p99", "longest"],
      latencies.map(({ name, p50Ms, p99Ms, maxMs }) => [name, ms(p50Ms), ms(p99Ms), ms(maxMs)]),
    ),
    `SQLite committed ${formatFigure(commitsPerSecond)} rows a second here, one after the other.`,
    markdownTable(
      ["moves", "a second", "lowest … highest", "CPU of the daemon", "of the commands"],
      rates.map(({ name, rates, cpuMs, commandMs, fault }) =>
        fault === undefined
          ? [name, formatFigure(median(rates)), spreadOf(rates), ms(cpuMs), ms(commandMs)]
          : [name, "**FAILED**", fault],
      ),
    ),
    ...faults.map((fault) => `**FAILED**: ${fault}`),
  ].join("\n\n");
}

const spreadOf = (rates: readonly number[]): string =>
  `${formatFigure(Math.min(...rates))} … ${formatFigure(Math.max(...rates))}`;

export function directoryTables({ userCount, rows, goals }: DirectoryResults): string {
  return [
    `${userCount.toLocaleString("en")} users.`,
    goalsTable(goals),
    markdownTable(
      ["what", "figures"],
      rows.map(({ what, figures }) => [what.trim(), figures]),
    ),
  ].join("\n\n");
}

const goalsTable = (goals: readonly Goal[]): string =>
  markdownTable(
    ["aim", "reached", "wanted"],
    goals.map(({ what, reached, wanted, unit, isMet }) => [
      what,
      `${formatFigure(reached)} ${unit}`,
      `${formatFigure(wanted)} ${isMet ? "reached" : "**missed**"}`,
    ]),
  );
