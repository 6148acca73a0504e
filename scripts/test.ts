/**
 * Everything that must hold: types, lint, format, imports, generated docs, and every test file.
 *
 *   npm test [-- PATTERN...]
 *
 * A PATTERN is a part of a test file's path, or a glob. With one, only the matching test files are run.
 * The last line is "N passed, N failed, N skipped". Where CI is set, a skipped test is a failed one.
 */
import { globSync } from "node:fs";
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

/** They bring up real servers and measure times: one after the other, and not beside anything else. */
const isAlone = (file: string) => /^test\/(daemon|interop)\//.test(file);

function show(result: Result): void {
  add(totals, result, isSkipFailure);
  console.log(format(result, isSkipFailure));
}

function findFiles(patterns: readonly string[]): string[] {
  const files = globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).sort();
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

const patterns = process.argv.slice(2);
const option = patterns.find((pattern) => pattern.startsWith("-"));
const files = findFiles(patterns);
if (option !== undefined || files.length === 0) {
  console.error(option === undefined ? `no test file matches ${patterns.join(" ")}` : `unknown option ${option}`);
  process.exit(64);
}
if (patterns.length === 0) for await (const result of runSteps()) show(result);
else console.log(`only ${files.length} of the test files, without types, lint, format, imports and docs`);

await runFiles(
  files.filter((file) => !isAlone(file)),
  availableParallelism(),
  FILE_TIMEOUT_MS,
);
await runFiles(files.filter(isAlone), 1, ALONE_TIMEOUT_MS);

console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = totals.failed > 0 ? 1 : 0;
