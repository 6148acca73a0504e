import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeSoak } from "../soak/soak.ts";
import { drawCurve, drawSoak, growthTable } from "./growth-section.ts";
import { formatMachine } from "./machine.ts";
import {
  authoritiesTable,
  drawComparison,
  goalsTable,
  idleTable,
  mailTable,
  manyUsersTable,
  sizingTable,
} from "./mail-section.ts";
import { directoryTables, movesTables } from "./moves-section.ts";
import { replaceSection } from "./markdown.ts";
import { readResults } from "./results.ts";

const DOCS = join(import.meta.dirname, "..", "..", "docs");
const CHARTS = join(DOCS, "performance");

/** Puts what was measured into the pages, and draws the charts: all of it from `bench/results`. */
export function renderPage(): void {
  mkdirSync(CHARTS, { recursive: true });
  writeSections("performance.md", sections());
  const [mail, idle] = [readResults("mail"), readResults("idle")];
  if (mail !== undefined && idle !== undefined)
    writeSections("scaling.md", [["sizing", sizingTable(mail.results, idle.results)]]);
}

function writeSections(name: string, written: Iterable<readonly [section: string, text: string]>): void {
  const path = join(DOCS, name);
  let page = readFileSync(path, "utf8");
  for (const [section, text] of written) page = replaceSection(page, section, text);
  writeFileSync(path, page);
}

/** Of what was never measured there is no section, and the page keeps what it has. */
function* sections(): Generator<readonly [name: string, text: string]> {
  const mail = readResults("mail");
  if (mail !== undefined) {
    const chart = writeChart("comparison", "Messages per second beside others", drawComparison(mail.results));
    yield ["goals", [formatMachine(mail.machine), goalsTable(mail.results), chart].join("\n\n")];
    yield ["mail", mailTable(mail.results)];
  }
  const idle = readResults("idle");
  if (idle !== undefined) yield ["idle", [formatMachine(idle.machine), idleTable(idle.results)].join("\n\n")];
  const many = readResults("many-users");
  if (many !== undefined)
    yield ["many-users", [formatMachine(many.machine), manyUsersTable(many.results)].join("\n\n")];
  const authorities = readResults("authorities");
  if (authorities !== undefined)
    yield ["authorities", [formatMachine(authorities.machine), authoritiesTable(authorities.results)].join("\n\n")];
  const moves = readResults("moves");
  if (moves !== undefined) yield ["moves", [formatMachine(moves.machine), movesTables(moves.results)].join("\n\n")];
  const directory = readResults("directory");
  if (directory !== undefined)
    yield ["directory", [formatMachine(directory.machine), directoryTables(directory.results)].join("\n\n")];
  const growth = readResults("growth");
  if (growth !== undefined) {
    yield ["growth", formatMachine(growth.machine)];
    for (const curve of growth.results) {
      const fault = curve.fault === undefined ? [] : [`**FAILED** after that: ${curve.fault}`];
      if (curve.points.length === 0) {
        yield [
          `growth-${curve.name}`,
          curve.skipped === undefined ? fault.join("") : `Not measured: ${curve.skipped}.`,
        ];
        continue;
      }
      const chart = writeChart(curve.name, curve.title, drawCurve(curve));
      yield [`growth-${curve.name}`, [chart, growthTable(curve), ...fault].join("\n\n")];
    }
  }
  const soak = readResults("soak");
  if (soak !== undefined) {
    const chart = writeChart("soak", "Memory and descriptors over time", drawSoak(soak.results));
    yield ["soak", [formatMachine(soak.machine), describeSoak(soak.results).text, chart].join("\n\n")];
  }
}

function writeChart(name: string, description: string, svg: string): string {
  writeFileSync(join(CHARTS, `${name}.svg`), svg);
  return `![${description}](performance/${name}.svg)`;
}
