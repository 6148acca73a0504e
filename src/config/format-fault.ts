import type { ConfigFault } from "./config.ts";

/** One line, as compilers write it: for logs. */
export function formatFaultLine({ severity, path, line, column, message }: ConfigFault): string {
  const place = line === 0 ? path : `${path}:${line}:${column}`;
  return toPrintable(`${place}: ${severity === "warning" ? "warning: " : ""}${message}`);
}

/** With the offending line and a caret under the place, each line ended by LF. */
export function formatFault(fault: ConfigFault): string {
  const head = `${formatFaultLine(fault)}\n`;
  const { sourceLine, caretColumn } = fault;
  if (sourceLine.trim() === "") return head;
  // Tabs stay tabs, so that the caret stands below its character however wide a terminal makes them.
  const lead = [...sourceLine].slice(0, caretColumn - 1).map((character) => (character === "\t" ? "\t" : " "));
  return `${head}    ${toPrintable(sourceLine)}\n    ${lead.join("")}^\n`;
}

/** The closing line of a report. */
export function countFaults(path: string, faults: readonly ConfigFault[]): string {
  const count = (wanted: ConfigFault["severity"]): number =>
    faults.reduce((sum, fault) => (fault.severity === wanted ? sum + fault.count : sum), 0);
  return `${toPrintable(path)}: ${plural(count("error"), "error")}, ${plural(count("warning"), "warning")}\n`;
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;

/** A file must not be able to move an administrator's cursor. */
const toPrintable = (text: string): string => text.replaceAll(/(?!\t)\p{Cc}/gu, "?");
