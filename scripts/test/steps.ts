import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import type { Result } from "./result.ts";

const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly output: string;
}

/** Runs a JavaScript or TypeScript file on this Node. */
function runNode(args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { maxBuffer: MAX_OUTPUT_BYTES, env: { ...process.env, NO_COLOR: "1" } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, output: [stdout, stderr].filter((text) => text.trim() !== "").join("\n") });
      },
    );
  });
}

async function step(name: string, check: () => Promise<string | undefined>): Promise<Result> {
  const startedMs = performance.now();
  const error = await check();
  const failures = error === undefined ? [] : [{ test: name, error }];
  const seconds = (performance.now() - startedMs) / 1000;
  return { name, passed: 1 - failures.length, failures, skips: [], notes: [], output: "", seconds };
}

/** One step is one test: its complaint, or nothing. */
async function complaint(args: readonly string[], fallback: string): Promise<string | undefined> {
  const { code, output } = await runNode(args);
  if (code === 0) return undefined;
  return output.trim() === "" ? fallback : output;
}

interface Diagnostic {
  readonly message: string;
  readonly code?: string;
  readonly help?: string;
  readonly filename: string;
  readonly labels: readonly { readonly span: { readonly line: number; readonly column: number } }[];
}

/** The linter's rules about imports are a step of their own. */
const isAboutImports = ({ code }: Diagnostic) =>
  code === "eslint(no-restricted-imports)" || code === "import(no-cycle)" || code === "import(no-self-import)";

function show({ filename, labels, message, code, help }: Diagnostic): string {
  const { line, column } = labels[0]?.span ?? { line: 1, column: 1 };
  return `${filename}:${line}:${column} ${message}${code === undefined ? "" : ` [${code}]`}${help === undefined ? "" : `\n  ${help}`}`;
}

async function lint(): Promise<Result[]> {
  const ran = runNode(["node_modules/oxlint/bin/oxlint", "--format=json"]);
  const check = async (isWanted: (diagnostic: Diagnostic) => boolean) => {
    const { code, stdout, output } = await ran;
    const found = readDiagnostics(stdout);
    // Should the linter itself fail, both steps do.
    if (found === undefined || (code !== 0 && found.length === 0)) return output;
    const wanted = found.filter(isWanted);
    return wanted.length === 0 ? undefined : wanted.map(show).join("\n");
  };
  return [
    await step("lint", () => check((diagnostic) => !isAboutImports(diagnostic))),
    await step("imports", () => check(isAboutImports)),
  ];
}

function readDiagnostics(json: string): Diagnostic[] | undefined {
  try {
    return (JSON.parse(json) as { diagnostics: Diagnostic[] }).diagnostics;
  } catch {
    return undefined;
  }
}

/** Everything that is checked without running the program. */
export async function* runSteps(): AsyncGenerator<Result> {
  yield step("types", () => complaint(["node_modules/typescript/bin/tsc", "-p", "."], "tsc failed"));
  yield* await lint();
  yield step("format", () => complaint(["node_modules/oxfmt/bin/oxfmt", "--list-different"], "oxfmt failed"));
  yield step("docs", () =>
    existsSync("scripts/generate-docs.ts")
      ? complaint(["scripts/generate-docs.ts", "--check"], "stale: run npm run docs")
      : Promise.resolve("scripts/generate-docs.ts is missing"),
  );
}
