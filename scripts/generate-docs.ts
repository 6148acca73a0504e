/**
 * Writes the pages that the schemas generate.
 *
 *   npm run docs [-- [--check] [FOLDER]]
 *
 * With --check nothing is written: a stale page is named, and the exit code is 1. FOLDER stands for this repository's.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { writeReference } from "./docs/reference.ts";
import { writeSample } from "./docs/sample.ts";

const { values, positionals } = parseArgs({ options: { check: { type: "boolean" } }, allowPositionals: true });
const root = positionals[0] ?? join(import.meta.dirname, "..");
const PAGES: ReadonlyMap<string, () => string> = new Map([
  ["docs/reference.md", writeReference],
  ["docs/mailshunt.sample.yaml", writeSample],
]);

function readPage(page: string): string {
  try {
    return readFileSync(join(root, page), "utf8");
  } catch {
    return "";
  }
}

for (const [page, write] of PAGES) {
  const text = write();
  if (readPage(page) === text) continue;
  if (values.check === true) process.exitCode = 1;
  else {
    mkdirSync(dirname(join(root, page)), { recursive: true });
    writeFileSync(join(root, page), text);
  }
  console.log(`${page}: ${values.check === true ? "stale: run npm run docs" : "written"}`);
}
