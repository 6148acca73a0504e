/**
 * Everything that must hold: types, lint, format, imports, generated docs, and every test file.
 *
 *   npm test [-- PATTERN...]
 *   npm run test:long [-- PATTERN...]
 *
 * The second runs those test files alone that have a long form, in it. A PATTERN is a part of a test file's path, or a glob. With one, only the matching test files are run.
 * The last line is "N passed, N failed, N skipped". Where CI is set, a skipped test is a failed one.
 */
import { globSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, matchesGlob } from "node:path";
import { add, format, type Result, type Totals } from "./test/result.ts";
import { endRunningFiles, runFile } from "./test/run-file.ts";
import { runSteps } from "./test/steps.ts";

process.chdir(join(import.meta.dirname, ".."));

const isSkipFailure = !["", "0", "false"].includes(process.env["CI"] ?? "");
const totals: Totals = { passed: 0, failed: 0, skipped: 0 };

/** Far above what a file takes on a slow machine; real servers may have to be installed first. */
const FILE_TIMEOUT_MS = 3 * 60_000;
const ALONE_TIMEOUT_MS = 15 * 60_000;
/** The longest simulates for half an hour on a machine that does nothing else. */
const LONG_TIMEOUT_MS = 6 * 3_600_000;

/** In the environment of test files, and in those that look at it. */
const LONG = "MAILSHUNT_LONG_TESTS";

/** They bring up real servers and measure times: one after the other, and not beside anything else. */
const isAlone = (file: string) => /^test\/(daemon|interop)\//.test(file);

/** They test this file, and name what it looks for. */
const isTooling = (file: string) => file.startsWith("test/tooling/");

function show(result: Result): void {
  add(totals, result, isSkipFailure);
  console.log(format(result, isSkipFailure));
}

function findFiles(patterns: readonly string[], isLong: boolean): string[] {
  const all = globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).sort();
  const files = isLong ? all.filter((file) => !isTooling(file) && readFileSync(file, "utf8").includes(LONG)) : all;
  if (patterns.length === 0) return files;
  return files.filter((file) => patterns.some((pattern) => file.includes(pattern) || matchesGlob(file, pattern)));
}

/** Shows results in the order of the files, whichever ends first. */
async function runFiles(files: readonly string[], atOnce: number, timeoutMs: number): Promise<void> {
  const waiting = [...files.keys()];
  const results: (Result | undefined)[] = [];
  let shown = 0;
  const lane = async () => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) {
      results[index] = await runFile(files[index] ?? "", timeoutMs);
      for (let next = results[shown]; next !== undefined; next = results[++shown]) show(next);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    endRunningFiles();
    console.log("interrupted");
    process.exit(130);
  });

const isLong = process.argv[2] === "--long";
if (isLong) process.env[LONG] = "1";
const patterns = process.argv.slice(isLong ? 3 : 2);
const option = patterns.find((pattern) => pattern.startsWith("-"));
const files = findFiles(patterns, isLong);
if (option !== undefined || files.length === 0) {
  console.error(option === undefined ? `no test file matches ${patterns.join(" ")}` : `unknown option ${option}`);
  process.exit(64);
}
if (patterns.length === 0 && !isLong) for await (const result of runSteps()) show(result);
else console.log(`only ${files.length} of the test files, without types, lint, format, imports and docs`);

await runFiles(
  files.filter((file) => !isAlone(file)),
  availableParallelism(),
  isLong ? LONG_TIMEOUT_MS : FILE_TIMEOUT_MS,
);
await runFiles(files.filter(isAlone), 1, isLong ? LONG_TIMEOUT_MS : ALONE_TIMEOUT_MS);

console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
