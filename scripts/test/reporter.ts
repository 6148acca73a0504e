import { writeSync } from "node:fs";
import { inspect } from "node:util";
import type { TestEvent } from "node:test/reporters";

/** What a test file's process tells the one that started it, a line of JSON each, on this file descriptor. */
export const EVENTS_FD = 3;

export type FileEvent =
  | { readonly kind: "started"; readonly test: string }
  | { readonly kind: "finished"; readonly test: string }
  | { readonly kind: "passed"; readonly test: string }
  | { readonly kind: "skipped"; readonly test: string; readonly reason: string }
  | { readonly kind: "failed"; readonly test: string; readonly error: string }
  | { readonly kind: "complaint"; readonly text: string }
  /** What a test said with `t.diagnostic`: a measurement, say. */
  | { readonly kind: "note"; readonly text: string }
  /** All tests of the file have ended: without it the process broke off. */
  | { readonly kind: "end" };

/** Reporter of node:test, named on the command line of each test file's process. */
// oxlint-disable-next-line import/no-default-export -- node:test takes a reporter by this name
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const names: string[] = [];
  for await (const event of source) for (const line of translate(event, names)) send(line);
  send({ kind: "end" });
  // A reporter is a generator, and this one has nothing to print.
  yield "";
}

function send(event: FileEvent): void {
  writeSync(EVENTS_FD, `${JSON.stringify(event)}\n`);
}

/** @param names of the test being reported and of those around it, outermost first */
function translate(event: TestEvent, names: string[]): FileEvent[] {
  const { type, data } = event;
  if (type === "test:start") {
    names.length = data.nesting;
    names.push(data.name);
    return [];
  }
  if (type === "test:dequeue") return [{ kind: "started", test: data.name }];
  if (type === "test:complete") return [{ kind: "finished", test: data.name }];
  if (type === "test:diagnostic") return translateDiagnostic(data.message, data.level);
  if (type !== "test:pass" && type !== "test:fail") return [];

  const test = names.slice(0, data.nesting + 1).join(" > ");
  const { skip, todo } = data;
  if (skip !== undefined && skip !== false) return [{ kind: "skipped", test, reason: reasonOf(skip) }];
  if (todo !== undefined && todo !== false) return [{ kind: "skipped", test, reason: `to do: ${reasonOf(todo)}` }];
  if (type === "test:fail") {
    // The subtest has been counted: what is around it is no further failure.
    const { error }: { error: Error & { failureType?: string } } = data.details;
    return error.failureType === "subtestsFailed" ? [] : [{ kind: "failed", test, error: describe(error) }];
  }
  return data.details.type === "suite" ? [] : [{ kind: "passed", test }];
}

function translateDiagnostic(text: string, level: string): FileEvent[] {
  // Unhandled rejections after a test's end come as mere information.
  if (level === "error" || level === "warn" || /^(Error|Warning): /.test(text)) return [{ kind: "complaint", text }];
  const isTotal = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(text);
  return isTotal ? [] : [{ kind: "note", text }];
}

function reasonOf(value: string | true): string {
  return value === true || value === "" ? "no reason given" : value;
}

/** node:test wraps what a test threw. An assertion's own message already shows both sides. */
function describe(failure: Error): string {
  const thrown = failure.cause ?? failure;
  if (thrown instanceof Error && thrown.name === "AssertionError") return thrown.stack ?? thrown.message;
  return typeof thrown === "string" ? thrown : inspect(thrown, { depth: 6, maxStringLength: 20_000 });
}
