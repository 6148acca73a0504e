/**
 * The directory alone, with many users.
 *
 *   node bench/directory.ts [--users 10000000] [--sorted] [--folder FOLDER]
 *
 * FOLDER is where the directory is put; the default is one in the system's folder for temporary files.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { systemClock } from "../src/core/clock.ts";
import type { Directory, ImportReport, UserEntry } from "../src/directory/directory.ts";
import { openDirectory } from "../src/directory/open-directory.ts";

const AUTHOR = { who: "bench", why: "bench" };
const FINDS = 100_000;
/** Holds that are placed one after the other, between two in ms. */
const HOLDS = 300;
const HOLD_EVERY_MS = 20;
/** Moves whose journals are written side by side, and for how long, in ms. */
const MOVES = 200;
const JOURNAL_MS = 3_000;

const { values } = parseArgs({
  options: {
    users: { type: "string", default: "10000000" },
    sorted: { type: "boolean", default: false },
    folder: { type: "string", default: tmpdir() },
  },
});
const userCount = Number(values.users);

/** All different, and in no order of their keys unless they are padded numbers. */
const userOf = (number: number): string =>
  values.sorted
    ? `user${String(number).padStart(9, "0")}@example.com`
    : `user${(Math.imul(number, 0x9e3779b1) >>> 0).toString(36)}@example.com`;

function* users(backend?: string): Generator<UserEntry> {
  for (let number = 0; number < userCount; number += 1)
    yield { user: userOf(number), backend: backend ?? (number % 10 === 0 ? "new" : "old") };
}

const print = (what: string, figures: string): void => console.log(`${what.padEnd(44)} ${figures}`);

function quantiles(samples: readonly number[], unit: string): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(2);
  return `p50 ${at(0.5)} ${unit}, p99 ${at(0.99)} ${unit}, max ${at(1)} ${unit}  (${samples.length})`;
}

async function timed<Value>(run: () => Promise<Value> | Value): Promise<[tookMs: number, value: Value]> {
  const startMs = performance.now();
  const value = await run();
  return [performance.now() - startMs, value];
}

async function benchFinds(directory: Directory): Promise<void> {
  const names = Array.from({ length: FINDS }, () => userOf(Math.floor(Math.random() * userCount)));
  const [coldMs] = await timed(() => names.slice(0, 1000).forEach((name) => directory.find(name)));
  const [tookMs] = await timed(() => names.forEach((name) => directory.find(name)));
  print("find, one after the other", `${((tookMs / FINDS) * 1000).toFixed(2)} µs, first ${coldMs.toFixed(2)} µs`);
  const single = names.slice(0, 10_000).map((name) => {
    const startMs = performance.now();
    directory.find(name);
    return (performance.now() - startMs) * 1000;
  });
  print("find, each by itself", quantiles(single, "µs"));
  const page = names.slice(0, 300).map((after) => {
    const startMs = performance.now();
    directory.users.list({ after, backend: "new" });
    return performance.now() - startMs;
  });
  print("list, 1000 users of a backend", quantiles(page, "ms"));
}

/** Places holds until it is told to stop. */
async function placeHolds(directory: Directory, mayGoOn: () => boolean): Promise<number[]> {
  const tookMs: number[] = [];
  for (let number = 0; mayGoOn(); number += 1) {
    const hold = { user: userOf(number), owner: "bench", reason: "", deadlineMs: Date.now() };
    const [ms] = await timed(() => directory.holds.place(hold, AUTHOR));
    tookMs.push(ms);
    await directory.holds.release(hold, AUTHOR);
    await delay(HOLD_EVERY_MS);
  }
  return tookMs;
}

/** An import, with what it does to the others. */
async function benchImport(what: string, directory: Directory, run: () => Promise<ImportReport>): Promise<void> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  let isRunning = true;
  const findsUs: number[] = [];
  const finding = setInterval(() => {
    const startMs = performance.now();
    directory.find(userOf(Math.floor(Math.random() * userCount)));
    findsUs.push((performance.now() - startMs) * 1000);
  }, 5);
  const holding = placeHolds(directory, () => isRunning);
  const cpuBefore = process.cpuUsage();
  const [tookMs, report] = await timed(run);
  const cpu = process.cpuUsage(cpuBefore);
  isRunning = false;
  clearInterval(finding);
  loop.disable();
  const { created, changed, unchanged } = report;
  print(
    what,
    `${Math.round(report.read / (tookMs / 1000))} users/s (${(tookMs / 1000).toFixed(1)} s, of all processors ${((cpu.user + cpu.system) / 1e6).toFixed(1)} s)`,
  );
  print("  outcome", `${created} created, ${changed} changed, ${unchanged} unchanged`);
  print("  holds placed meanwhile", quantiles(await holding, "ms"));
  print("  finds meanwhile", quantiles(findsUs, "µs"));
  const loopMs = [50, 99, 99.9, 100].map((part) => (loop.percentile(part) / 1e6).toFixed(1));
  print(
    "  event loop's delay meanwhile",
    `p50 ${loopMs[0]} ms, p99 ${loopMs[1]} ms, p99.9 ${loopMs[2]} ms, max ${loopMs[3]} ms`,
  );
}

async function benchJournals(directory: Directory): Promise<void> {
  const ids = Array.from({ length: MOVES }, (_, number) => `${process.pid}-${Date.now()}-${number}`);
  const [createMs] = await timed(() =>
    directory.moves.create(
      ids.map((id, number) => ({
        id,
        user: userOf(number),
        from: "old",
        to: "new",
        optionsJson: "{}",
        state: "planned",
      })),
      AUTHOR,
    ),
  );
  print(`create ${MOVES} moves`, `${createMs.toFixed(1)} ms`);
  for (const side of [1, 20, MOVES]) {
    const endMs = performance.now() + JOURNAL_MS;
    const tookMs: number[] = [];
    const step = { entryJson: JSON.stringify({ step: "pre-sync", took: 17 }), state: "pre-sync", isActive: true };
    const append = async (id: string): Promise<void> => {
      while (performance.now() < endMs) tookMs.push((await timed(() => directory.moves.append(id, step)))[0]);
    };
    await Promise.all(ids.slice(0, side).map(append));
    const perSecond = Math.round(tookMs.length / (JOURNAL_MS / 1000));
    print(`journal entries, ${side} moves side by side`, `${perSecond}/s, ${quantiles(tookMs, "ms")}`);
  }
  for (const id of ids) void directory.moves.append(id, { entryJson: "{}", state: "done", isActive: false });
}

const folder = mkdtempSync(join(values.folder, "mailshunt-bench-"));
try {
  const path = join(folder, "directory.db");
  const options = { store: { kind: "sqlite", path } } as const;
  let directory = await openDirectory(options, systemClock);
  print("users", `${userCount}, ${values.sorted ? "in the order of their keys" : "in no order"}`);
  const importAll =
    (backend?: string, dryRun = false) =>
    async (): Promise<ImportReport> =>
      directory.users.import(users(backend), { author: AUTHOR, dryRun });
  await benchImport("import into nothing", directory, importAll());
  await benchImport("import again, nothing changed", directory, importAll());
  await benchImport("dry run that would change nine in ten", directory, importAll("new", true));
  const [closeMs] = await timed(() => directory.close());
  print("close", `${closeMs.toFixed(1)} ms; ${Math.round(statSync(path).size / 1e6)} MB`);
  const [openMs, reopened] = await timed(() => openDirectory(options, systemClock));
  directory = reopened;
  const [firstMs] = await timed(() => directory.find(userOf(0)));
  print("start", `${openMs.toFixed(1)} ms, first find after ${firstMs.toFixed(2)} ms more`);
  const [countMs] = await timed(() => directory.users.countByBackend());
  print("count by backend", `${countMs.toFixed(2)} ms`);
  await benchFinds(directory);
  let holdsLeft = HOLDS;
  print(
    "holds placed, nothing else going on",
    quantiles(await placeHolds(directory, () => (holdsLeft -= 1) >= 0), "ms"),
  );
  await benchJournals(directory);
  await directory.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
