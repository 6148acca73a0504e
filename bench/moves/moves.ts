import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Effort } from "../effort.ts";
import { start, type Program } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { median, quantile } from "../statistics.ts";
import { atLeast, atMost, showGoals, type Goal } from "../goals.ts";
import { measureHolds, measureIdleHolds, measureSwitches } from "./latencies.ts";
import { runMoves } from "./rate.ts";
import {
  showLatencies,
  showRates,
  toLatencyRow,
  toRateRow,
  type LatencyRow,
  type MoveResults,
  type RateRow,
} from "./rows.ts";
import { startSink, startSlowStore, type SlowStore } from "./store.ts";
import { startWorld, type MoveWorld, type NoOp } from "./world.ts";

export const MOVE_PACKAGES = ["postfix"];

/** What else the daemon does while latencies are measured, each a second. */
const DELIVERIES = 300;
const QUESTIONS = 1_000;
/** Users of those deliveries and questions. */
const OTHERS = 1_000;

/** Holds and switches of a latency. */
const SAMPLES = 300;

/** How long the old store takes for its answer to a final dot, in ms. */
const FIRST_ANSWER_MS = 15;
const LAST_ANSWER_MS = 40;

/** What is to be reached, in ms and moves a second. */
const GOALS = { drainedMs: 10, visibleMs: 1, movesPerSecond: 500 };

interface Scenario {
  readonly name: string;
  readonly world: MoveWorld;
  readonly preset: NoOp;
  /** Of a round. */
  readonly moves: number;
}

/** Holds, switches and moves of a daemon, with stores that hold no mail. */
export async function benchMoves(folder: string, effort: Effort): Promise<MoveResults> {
  const own = join(folder, "moves");
  mkdirSync(own);
  const newPort = await startSink();
  const slow = await startSlowStore(() => FIRST_ANSWER_MS + Math.random() * (LAST_ANSWER_MS - FIRST_ANSWER_MS));
  const startOne = (name: string, parallel: number): Promise<MoveWorld> =>
    startWorld({ folder: join(own, name), parallel, oldPort: slow.port, newPort });
  const usual = await startOne("usual", 10);
  const wide = await startOne("wide", 100);
  try {
    console.log(`moves: ${DELIVERIES} messages and ${QUESTIONS} questions a second meanwhile, in ms`);
    const latencies = await measureLatencies(usual, slow, Math.ceil(SAMPLES * effort.share));
    showLatencies(latencies.rows);
    showGoals(latencies.goals);
    const commitsPerSecond = measureCommits(join(own, "commits.db"));
    console.log(
      `moves a second, where SQLite commits ${Math.round(commitsPerSecond)} rows a second one after the other`,
    );
    const rates = await measureRates(effort, [
      { name: "nothing to copy, 10 at once", world: usual, preset: "nothing", moves: 1_000 },
      { name: "nothing to copy, 100 at once", world: wide, preset: "nothing", moves: 2_000 },
      { name: "two processes of true(1) each, 10 at once", world: usual, preset: "true", moves: 100 },
    ]);
    showRates(rates.rows);
    showGoals(rates.goals);
    const faults = [...latencies.faults, ...rates.faults];
    for (const fault of faults) console.log(`  FAILED: ${fault}`);
    return {
      latencies: latencies.rows,
      commitsPerSecond,
      rates: rates.rows,
      goals: [...latencies.goals, ...rates.goals],
      faults,
    };
  } finally {
    await Promise.all([usual.stop(), wide.stop()]);
    slow.close();
  }
}

interface Measured<Row> {
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
  readonly faults: readonly string[];
}

async function measureLatencies(world: MoveWorld, store: SlowStore, count: number): Promise<Measured<LatencyRow>> {
  const load = await startLoad(world);
  try {
    const idle = await measureIdleHolds(world, count);
    const busy = await measureHolds(world, store, count);
    const { visibleMs, ordinaryMs, stale } = await measureSwitches(world, count);
    const faults = stale === 0 ? [] : [`${stale} questions after a switch were answered with the old store`];
    if (load.child.exitCode !== null) faults.push(`the load has ended: ${load.output().trim()}`);
    return {
      rows: [
        toLatencyRow("hold to drained, nothing under way", idle),
        toLatencyRow("hold to drained, beyond the delivery", busy),
        toLatencyRow("any question", ordinaryMs),
        toLatencyRow("the first question after the switch", visibleMs),
      ],
      goals: [
        atMost("hold to drained, p99", quantile(busy, 0.99), GOALS.drainedMs, "ms"),
        atMost("switch to visible, p99", quantile(visibleMs, 0.99), GOALS.visibleMs, "ms"),
      ],
      faults,
    };
  } finally {
    load.child.kill("SIGKILL");
  }
}

/** Mail for users who do not move, in a store that answers at once. */
async function startLoad(world: MoveWorld): Promise<Program> {
  const lines = Array.from({ length: OTHERS }, (_, number) => `other${number},new\n`);
  await world.admin.ask("POST", "/v1/users/import", { text: text(lines) });
  const ports = [`${world.lmtpPort}`, `${world.tablePort}`];
  const words = [join(import.meta.dirname, "background-load.ts"), ...ports, `${DELIVERIES}`, `${QUESTIONS}`];
  const load = start(process.execPath, words);
  await new Promise<void>((resolve, reject) => {
    load.child.stdout?.once("data", () => resolve());
    load.child.once("close", () => reject(new Error(`the load did not begin: ${load.output()}`)));
  });
  return load;
}

async function* text(lines: readonly string[]): AsyncGenerator<string> {
  yield lines.join("");
}

async function measureRates(effort: Effort, scenarios: readonly Scenario[]): Promise<Measured<RateRow>> {
  const rounds = await takeTurns(scenarios, effort.rounds, ({ world, preset, moves }) =>
    runMoves(world, preset, Math.ceil(moves * effort.share)),
  );
  const rows = [...rounds].map(([{ name }, results]) => toRateRow(name, results));
  const best = Math.max(...rows.map(({ rates }) => median(rates)).filter((rate) => !Number.isNaN(rate)));
  return {
    rows,
    goals: [atLeast("moves", best, GOALS.movesPerSecond, "a second")],
    faults: rows.flatMap(({ name, fault }) => (fault === undefined ? [] : [`${name}: ${fault}`])),
  };
}

/** Commits of one row each a second, as the directory writes them: the disk's share of all figures here. */
function measureCommits(path: string): number {
  const COMMITS = 500;
  const db = new DatabaseSync(path);
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (text TEXT)");
  const insert = db.prepare("INSERT INTO rows VALUES (?)");
  const startMs = performance.now();
  for (let number = 0; number < COMMITS; number += 1) insert.run("x".repeat(200));
  const seconds = (performance.now() - startMs) / 1_000;
  db.close();
  return COMMITS / seconds;
}
