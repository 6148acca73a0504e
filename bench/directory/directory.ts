import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import type { Directory, ImportReport, UserEntry } from "../../src/directory/directory.ts";
import { openDirectory } from "../../src/directory/open-directory.ts";
import { atLeast, atMost, showGoals, type Goal } from "../goals.ts";
import { quantile } from "../statistics.ts";
import { AUTHOR, placeHolds, watchOthers } from "./others.ts";

const FINDS = 100_000;
const HOLDS = 200;
/** Moves whose journals are written side by side, and for how long, in ms. */
const MOVES = 200;
const JOURNAL_MS = 2_000;

/** What is to be reached: in microseconds, ms, users a second, and how long at most nothing else has its turn. */
const GOALS = { findMicros: 20, startMs: 1_000, importPerSecond: 100_000, holdMs: 100 };

export interface DirectoryRow {
  readonly what: string;
  readonly figures: string;
}

export interface DirectoryResults {
  readonly userCount: number;
  readonly rows: readonly DirectoryRow[];
  readonly goals: readonly Goal[];
}

/** Of the run under way. */
let rows: DirectoryRow[] = [];

/** The directory alone, with many users whose keys come in no order. */
export async function benchDirectory(folder: string, userCount: number): Promise<DirectoryResults> {
  rows = [];
  const own = join(folder, "directory");
  mkdirSync(own);
  const options = { store: { kind: "sqlite", path: join(own, "directory.db") } } as const;
  console.log(`directory, ${userCount.toLocaleString("en")} users`);
  let directory = await openDirectory(options, systemClock);
  try {
    const users = (backend?: string): Iterable<UserEntry> => generateUsers(userCount, backend);
    const first = await benchImport("import into nothing", directory, () =>
      directory.users.import(users(), { author: AUTHOR }),
    );
    await benchImport("import again, nothing changed", directory, () =>
      directory.users.import(users(), { author: AUTHOR }),
    );
    await benchImport("dry run that would change nine in ten", directory, () =>
      directory.users.import(users("new"), { author: AUTHOR, dryRun: true }),
    );
    const [closeMs] = await timed(() => directory.close());
    show("close", `${closeMs.toFixed(1)} ms; ${Math.round(statSync(options.store.path).size / 1e6)} MB`);
    const [openMs, reopened] = await timed(() => openDirectory(options, systemClock));
    directory = reopened;
    const [firstMs] = await timed(() => directory.find(userOf(0)));
    show("start", `${openMs.toFixed(1)} ms, first find after ${firstMs.toFixed(2)} ms more`);
    const [countMs] = await timed(() => directory.users.countByBackend());
    show("count by backend", `${countMs.toFixed(2)} ms`);
    const findMicros = benchFinds(directory, userCount);
    let left = HOLDS;
    show("holds placed, nothing else going on", describe(await placeHolds(directory, () => (left -= 1) >= 0), "ms"));
    await benchJournals(directory);
    const goals = [
      atMost("a find", findMicros, GOALS.findMicros, "µs"),
      atMost("start", openMs + firstMs, GOALS.startMs, "ms"),
      atLeast("users imported", first.perSecond, GOALS.importPerSecond, "a second"),
      atMost("a hold during the import, p99", first.holdP99Ms, GOALS.holdMs, "ms"),
    ];
    showGoals(goals);
    return { userCount, rows, goals };
  } finally {
    await directory.close();
  }
}

/** All different, and in no order of their keys. */
const userOf = (number: number): string => `user${(Math.imul(number, 0x9e3779b1) >>> 0).toString(36)}@example.com`;

function* generateUsers(count: number, backend: string | undefined): Generator<UserEntry> {
  for (let number = 0; number < count; number += 1)
    yield { user: userOf(number), backend: backend ?? (number % 10 === 0 ? "new" : "old") };
}

function show(what: string, figures: string): void {
  rows.push({ what, figures });
  console.log(`  ${what.padEnd(40)} ${figures}`);
}

function describe(samples: readonly number[], unit: string): string {
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => quantile(samples, part).toFixed(2));
  return `p50 ${p50} ${unit}, p99 ${p99} ${unit}, max ${max} ${unit}  (${samples.length})`;
}

async function timed<Value>(run: () => Promise<Value> | Value): Promise<[tookMs: number, value: Value]> {
  const startMs = performance.now();
  const value = await run();
  return [performance.now() - startMs, value];
}

/** An import, with what it does to the others. */
async function benchImport(
  what: string,
  directory: Directory,
  run: () => Promise<ImportReport>,
): Promise<{ readonly perSecond: number; readonly holdP99Ms: number }> {
  const watched = watchOthers(directory, userOf);
  const cpuBefore = process.cpuUsage();
  const [tookMs, { read, created, changed, unchanged }] = await timed(run);
  const cpu = process.cpuUsage(cpuBefore);
  const { holdsMs, findsMicros, loop } = await watched.stop();
  const perSecond = read / (tookMs / 1_000);
  const [seconds, cpuSeconds] = [tookMs / 1_000, (cpu.user + cpu.system) / 1e6].map((value) => value.toFixed(1));
  show(what, `${Math.round(perSecond)} users/s (${seconds} s, of all processors ${cpuSeconds} s)`);
  show("  outcome", `${created} created, ${changed} changed, ${unchanged} unchanged`);
  show("  holds placed meanwhile", describe(holdsMs, "ms"));
  show("  finds meanwhile", describe(findsMicros, "µs"));
  const loopMs = [50, 99, 99.9, 100].map((part) => (loop.percentile(part) / 1e6).toFixed(1));
  show(
    "  event loop's delay meanwhile",
    `p50 ${loopMs[0]} ms, p99 ${loopMs[1]} ms, p99.9 ${loopMs[2]} ms, max ${loopMs[3]} ms`,
  );
  return { perSecond, holdP99Ms: quantile(holdsMs, 0.99) };
}

/** @returns microseconds for one of many */
function benchFinds(directory: Directory, userCount: number): number {
  const names = Array.from({ length: FINDS }, () => userOf(Math.floor(Math.random() * userCount)));
  const time = (act: () => void): number => {
    const startMs = performance.now();
    act();
    return performance.now() - startMs;
  };
  const micros = (time(() => names.forEach((name) => directory.find(name))) / FINDS) * 1_000;
  show("find, one after the other", `${micros.toFixed(2)} µs`);
  const single = names.slice(0, 10_000).map((name) => time(() => void directory.find(name)) * 1_000);
  show("find, each by itself", describe(single, "µs"));
  const pages = names.slice(0, 300).map((after) => time(() => void directory.users.list({ after, backend: "new" })));
  show("list, 1000 users of a backend", describe(pages, "ms"));
  return micros;
}

async function benchJournals(directory: Directory): Promise<void> {
  const ids = Array.from({ length: MOVES }, (_, number) => `${process.pid}-${Date.now()}-${number}`);
  const moves = ids.map((id, number) => ({
    id,
    user: userOf(number),
    from: "old",
    to: "new",
    optionsJson: "{}",
    state: "planned",
  }));
  const [createMs] = await timed(() => directory.moves.create(moves, AUTHOR));
  show(`create ${MOVES} moves`, `${createMs.toFixed(1)} ms`);
  const step = { entryJson: JSON.stringify({ step: "pre-sync", took: 17 }), state: "pre-sync", isActive: true };
  for (const side of [1, 20, MOVES]) {
    const endMs = performance.now() + JOURNAL_MS;
    const tookMs: number[] = [];
    const append = async (id: string): Promise<void> => {
      while (performance.now() < endMs) tookMs.push((await timed(() => directory.moves.append(id, step)))[0]);
    };
    await Promise.all(ids.slice(0, side).map(append));
    const perSecond = Math.round(tookMs.length / (JOURNAL_MS / 1_000));
    show(`journal entries, ${side} moves side by side`, `${perSecond}/s, ${describe(tookMs, "ms")}`);
  }
}
