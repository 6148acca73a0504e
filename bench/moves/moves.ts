import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Effort } from "../effort.ts";
import { start, type Program } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { median, quantile } from "../statistics.ts";
import { measureHolds, measureIdleHolds, measureSwitches } from "./latencies.ts";
import { runMoves, type RateRound } from "./rate.ts";
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

/**
 * Holds, switches and moves of a daemon, with stores that hold no mail.
 * @returns whether everything came out as it had to
 */
export async function benchMoves(folder: string, effort: Effort): Promise<boolean> {
  const own = join(folder, "moves");
  mkdirSync(own);
  const newPort = await startSink();
  const slow = await startSlowStore(() => FIRST_ANSWER_MS + Math.random() * (LAST_ANSWER_MS - FIRST_ANSWER_MS));
  const startOne = (name: string, parallel: number): Promise<MoveWorld> =>
    startWorld({ folder: join(own, name), parallel, oldPort: slow.port, newPort });
  const usual = await startOne("usual", 10);
  const wide = await startOne("wide", 100);
  try {
    const isQuick = await showLatencies(usual, slow, Math.ceil(SAMPLES * effort.share));
    const isWhole = await showRates(own, effort, [
      { name: "nothing to copy, 10 at once", world: usual, preset: "nothing", moves: 1_000 },
      { name: "nothing to copy, 100 at once", world: wide, preset: "nothing", moves: 2_000 },
      { name: "two processes of true(1) each, 10 at once", world: usual, preset: "true", moves: 100 },
    ]);
    return isQuick && isWhole;
  } finally {
    await Promise.all([usual.stop(), wide.stop()]);
    slow.close();
  }
}

async function showLatencies(world: MoveWorld, store: SlowStore, count: number): Promise<boolean> {
  console.log(`latencies in ms, while ${DELIVERIES} messages and ${QUESTIONS} questions come a second`);
  const load = await startLoad(world);
  try {
    const idle = await measureIdleHolds(world, count);
    const busy = await measureHolds(world, store, count);
    const { visibleMs, ordinaryMs, stale } = await measureSwitches(world, count);
    showLatency("hold to drained, nothing under way", idle);
    showLatency("hold to drained, beyond the delivery", busy);
    showLatency("any question", ordinaryMs);
    showLatency("the first question after the switch", visibleMs);
    showGoal("hold to drained, p99", quantile(busy, 0.99), GOALS.drainedMs);
    showGoal("switch to visible, p99", quantile(visibleMs, 0.99), GOALS.visibleMs);
    if (stale > 0) console.log(`  FAILED: ${stale} questions after a switch were answered with the old store`);
    if (load.child.exitCode !== null) console.log(`  FAILED: the load has ended: ${load.output().trim()}`);
    return stale === 0 && load.child.exitCode === null;
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

function showLatency(name: string, samples: readonly number[]): void {
  const figures = [0.5, 0.99, 1].map((part) => quantile(samples, part).toFixed(2).padStart(9));
  console.log(`  ${name.padEnd(44)}p50${figures[0]}  p99${figures[1]}  max${figures[2]}`);
}

function showGoal(name: string, reached: number, goalMs: number): void {
  const word = reached <= goalMs ? "reached" : "MISSED";
  console.log(`  goal ${word}: ${name} ${reached.toFixed(2)} of ${goalMs} ms`);
}

async function showRates(folder: string, effort: Effort, scenarios: readonly Scenario[]): Promise<boolean> {
  const commits = measureCommits(join(folder, "commits.db"));
  console.log(`moves a second; SQLite commits ${Math.round(commits)} rows a second here, one after the other`);
  console.log(`${"".padEnd(44)}  moves/s (lowest … highest)   CPU ms/move   of commands`);
  const rounds = await takeTurns(scenarios, effort.rounds, ({ world, preset, moves }) =>
    runMoves(world, preset, Math.ceil(moves * effort.share)),
  );
  let best = 0;
  let isGood = true;
  for (const [{ name }, results] of rounds) {
    const rate = showRate(name, results);
    if (rate === undefined) isGood = false;
    else best = Math.max(best, rate);
  }
  const word = best >= GOALS.movesPerSecond ? "reached" : "MISSED";
  console.log(`  goal ${word}: ${Math.round(best)} of ${GOALS.movesPerSecond} moves a second`);
  return isGood;
}

/** @returns the median of the moves a second */
function showRate(name: string, results: readonly RateRound[]): number | undefined {
  const failed = results.find((result) => result.kind === "failed");
  if (failed !== undefined) {
    console.log(`  ${name}: FAILED: ${failed.reason}`);
    return undefined;
  }
  const done = results.slice(1).filter((result) => result.kind === "done");
  const rates = done.map(({ movesPerSecond }) => movesPerSecond);
  const cpuMs = median(done.map(({ cpuMicros }) => cpuMicros)) / 1_000;
  const commandMs = median(done.map(({ commandMicros }) => commandMicros)) / 1_000;
  const rate = median(rates);
  console.log(
    [
      `  ${name}`.padEnd(44),
      rate.toFixed(0).padStart(9),
      ` (${Math.min(...rates).toFixed(0)} … ${Math.max(...rates).toFixed(0)})`.padEnd(20),
      cpuMs.toFixed(2).padStart(11),
      commandMs.toFixed(2).padStart(14),
    ].join(""),
  );
  return rate;
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
