/** What one step or one test file came to. */
export interface Result {
  readonly name: string;
  readonly passed: number;
  readonly failures: readonly { readonly test: string; readonly error: string }[];
  readonly skips: readonly { readonly test: string; readonly reason: string }[];
  /** Measurements and the like: always shown. */
  readonly notes: readonly string[];
  /** What it printed: shown only when it failed. */
  readonly output: string;
  readonly seconds: number;
}

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

const indent = (text: string, by: string) => text.trimEnd().replaceAll(/^(?=.)/gm, by);

/** Successes on one line, failures in full. */
export function format(result: Result, isSkipFailure: boolean): string {
  const { name, passed, failures, skips, notes, output, seconds } = result;
  const isFailed = failures.length > 0 || (isSkipFailure && skips.length > 0);
  const counts = [
    `${passed} passed`,
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
    ...(skips.length > 0 ? [`${skips.length} skipped`] : []),
  ];
  const lines = [
    `${isFailed ? "FAIL" : skips.length > 0 ? "skip" : "ok  "}  ${name}  (${counts.join(", ")}, ${seconds.toFixed(1)} s)`,
  ];
  for (const note of notes) lines.push(`      ${note}`);
  for (const { test, reason } of skips) lines.push(`      skipped: ${test}: ${indent(reason, "        ").trimStart()}`);
  for (const { test, error } of failures) {
    lines.push(`      failed: ${test}`, indent(error, "        "));
  }
  if (failures.length > 0 && output.trim() !== "") lines.push("      it printed:", indent(output, "        "));
  return lines.join("\n");
}

/** Where a skip is a failure, it counts as one. */
export function add(totals: Totals, result: Result, isSkipFailure: boolean): void {
  totals.passed += result.passed;
  totals.failed += result.failures.length + (isSkipFailure ? result.skips.length : 0);
  totals.skipped += isSkipFailure ? 0 : result.skips.length;
}
