import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Effort } from "../effort.ts";
import { compile } from "../generator/compile.ts";
import { startMailshunt } from "../mailshunt.ts";
import { readTree } from "../process-tree.ts";
import { endPrograms, type Program } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { median } from "../statistics.ts";
import { runRound, type Round } from "./round.ts";
import { startSink, type Sink } from "./sinks.ts";
import { runLmtpLoad, type GeneratorTraffic } from "./sources.ts";

/** A routing table with many users beside one with few: every user is asked for, in no order. */
export interface ManyUsersRow {
  readonly name: string;
  readonly users: number;
  /** Messages per second, one for each round. */
  readonly few: readonly number[];
  readonly many: readonly number[];
  /** How much more time per message with many: 0.01 is one percent. Negative where it was less. */
  readonly slower: number;
  /** Resident memory of the daemons after it. */
  readonly fewBytes: number;
  readonly manyBytes: number;
  readonly fault: string | undefined;
}

const FEW = 10;
const MANY = 1_000_000;
const GOAL_SLOWER = 0.03;

const small = { sessions: 10, messageBytes: 4_096, recipients: 1, keepsConnection: true, isPipelined: false };
const scenarios: readonly (Omit<GeneratorTraffic, "users" | "seconds"> & { readonly name: string })[] = [
  { ...small, name: "a connection each", keepsConnection: false },
  { ...small, name: "reused" },
  { ...small, name: "1 session", sessions: 1 },
  { ...small, name: "pipelined, reused", isPipelined: true },
  { ...small, name: "10 recipients", recipients: 10 },
  { ...small, name: "1 MB, 4 sessions", sessions: 4, messageBytes: 1_048_576 },
];

interface Candidate {
  readonly users: number;
  readonly port: number;
  readonly program: Program;
}

export async function benchManyUsers(
  folder: string,
  effort: Effort,
  workers: number | undefined,
): Promise<ManyUsersRow[]> {
  const own = join(folder, "many-users");
  mkdirSync(own);
  const loader = compile("lmtp-load", own);
  const sink = await startSink("lmtp-sink", own, 1);
  const few = await startCandidate(own, FEW, sink, workers);
  const many = await startCandidate(own, MANY, sink, workers);
  for (const { port } of [few, many]) await awaitTable(loader, port);
  const rows: ManyUsersRow[] = [];
  console.log(`a routing table of ${MANY.toLocaleString("en")} users beside one of ${FEW}`);
  for (const { name, ...traffic } of scenarios) {
    const rounds = await takeTurns([few, many], effort.rounds, (candidate) =>
      runRound(candidate, sink, (port) =>
        runLmtpLoad(loader, { ...traffic, users: candidate.users, seconds: effort.seconds }, port),
      ),
    );
    const [fewBytes, manyBytes] = [few, many].map(({ program }) => readTree(program.child.pid ?? 0).residentBytes) as [
      number,
      number,
    ];
    const row = { ...toRow(name, rounds.get(few) ?? [], rounds.get(many) ?? []), fewBytes, manyBytes };
    console.log(`  ${name.padEnd(24)}${formatRow(row)}`);
    rows.push(row);
  }
  await endPrograms([few.program, many.program, sink.program]);
  return rows;
}

function formatRow(row: ManyUsersRow): string {
  if (row.fault !== undefined) return `FAILED: ${row.fault}`;
  const rates = `${median(row.few).toFixed(0)} and ${median(row.many).toFixed(0)} messages/s`;
  const verdict = isGoalMet(row) ? "reached" : "MISSED";
  return `${rates}: ${(row.slower * 100).toFixed(1)} % slower, goal ${verdict}: ${GOAL_SLOWER * 100} %`;
}

export const isGoalMet = ({ slower }: ManyUsersRow): boolean => slower <= GOAL_SLOWER;

/** Reading a table may take longer than a recipient waits for it. */
const TABLE_TIMEOUT_MS = 60_000;

/** Until a message is taken. @throws when none is for a long time */
export async function awaitTable(loader: string, port: number): Promise<void> {
  const deadlineMs = performance.now() + TABLE_TIMEOUT_MS;
  for (;;) {
    try {
      await runLmtpLoad(loader, { ...small, sessions: 1, users: 1, seconds: 0 }, port);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
  }
}

async function startCandidate(
  folder: string,
  users: number,
  sink: Sink,
  workers: number | undefined,
): Promise<Candidate> {
  const own = join(folder, `${users}`);
  mkdirSync(own);
  const path = join(own, "users");
  writeFileSync(path, Array.from({ length: users }, (_, user) => `user${user} b0\n`).join(""));
  const table = { type: "file", path, format: "postfix" };
  const { port, program } = await startMailshunt({ folder: own, sinkPorts: sink.ports, users: table, workers });
  return { users, port, program };
}

function toRow(
  name: string,
  fewRounds: readonly Round[],
  manyRounds: readonly Round[],
): Omit<ManyUsersRow, "fewBytes" | "manyBytes"> {
  const [few, many] = [ratesOf(fewRounds), ratesOf(manyRounds)];
  return {
    name,
    users: MANY,
    few,
    many,
    slower: median(few.map((rate, round) => rate / (many[round] ?? Number.NaN))) - 1,
    fault: [...fewRounds, ...manyRounds].find((round) => round.kind === "failed")?.reason,
  };
}

/** Without the one that warms up. */
const ratesOf = (rounds: readonly Round[]): number[] =>
  rounds.slice(1).flatMap((round) => (round.kind === "done" ? [round.messagesPerSecond] : []));
