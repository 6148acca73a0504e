import { PackedTableBuilder } from "../packed/packed-table-builder.ts";
import type { RawConfig } from "./lmtp-proxy-format.ts";
import { quoteScalar } from "../yaml/quote.ts";

/** What was decided in the translation, by the path of the option; stands above it. */
const COMMENTS: ReadonlyMap<string, string> = new Map([
  ["process.pid_file", "lmtp-proxy wrote it with -D only; serve always does."],
  ["backends.*.password", "Better kept in a file of its own: { file: /path }."],
  ["routing.key", '"localpart" is ignoreDomain: True, "address" is ignoreDomain: False.'],
  ["routing.recipient_delimiter", "user+extension is found as user; the address itself goes on unchanged."],
  ["routing.fallback", 'For users in no table; "hold" is what "reject" was.'],
]);
const HOLD_COMMENT = 'What was "reject" is "hold" here: 450 4.2.1, the client tries again.';
const UNKNOWN_COMMENT =
  "Without a fallback, a user in no table is answered 451 4.1.1: the table may just be incomplete.";

/** The file, in pieces of bounded size. */
export function* writeOwnFormat(path: string, raw: RawConfig): IterableIterator<string> {
  yield `# Translated from ${path.replaceAll(/\p{Cc}/gu, "?")}, a configuration of lmtp-proxy.\n`;
  for (const [key, value] of raw) yield* writeEntry(key, value, []);
}

function* writeEntry(key: string, value: unknown, parents: readonly string[]): IterableIterator<string> {
  const indent = "  ".repeat(parents.length);
  const path = [...parents, key];
  const comment = COMMENTS.get(path.join(".")) ?? COMMENTS.get([path[0], "*", ...path.slice(2)].join("."));
  if (comment !== undefined) yield `${indent}# ${comment}\n`;
  if (key === "version") yield `version: ${String(value)}\n`;
  else if (value instanceof PackedTableBuilder) yield* writeTable(`${indent}${key}:`, value, `${indent}  `);
  else if (value instanceof Map) {
    yield `${indent}${quoteScalar(key)}:\n`;
    for (const [name, item] of value as ReadonlyMap<string, unknown>) yield* writeEntry(name, item, path);
    if (path.join(".") === "routing" && !value.has("fallback"))
      yield `${indent}  # ${UNKNOWN_COMMENT}\n${indent}  unknown: defer\n`;
  } else if (Array.isArray(value)) {
    yield `${indent}${key}:\n`;
    for (const item of value as readonly unknown[]) yield* writeItem(item, `${indent}  `);
  } else yield `${indent}${quoteScalar(key)}: ${quoteScalar(String(value))}\n`;
}

function* writeItem(item: unknown, indent: string): IterableIterator<string> {
  if (!(item instanceof Map)) {
    yield `${indent}- ${quoteScalar(String(item))}\n`;
    return;
  }
  let lead = "- ";
  for (const [key, value] of item as ReadonlyMap<string, unknown>) {
    yield `${indent}${lead}${key}: ${quoteScalar(String(value))}\n`;
    lead = "  ";
  }
}

/** Entries in one piece, so that a million of them are not a million writes. */
const ENTRIES_IN_PIECE = 1000;

function* writeTable(head: string, table: PackedTableBuilder, indent: string): IterableIterator<string> {
  if (table.keyCount === 0) {
    yield `${head} {}\n`;
    return;
  }
  if (table.values.includes("hold")) yield `${indent.slice(2)}# ${HOLD_COMMENT}\n`;
  yield `${head}\n`;
  for (let start = 0; start < table.keyCount; start += ENTRIES_IN_PIECE) {
    let piece = "";
    for (let entry = start; entry < Math.min(start + ENTRIES_IN_PIECE, table.keyCount); entry++)
      piece += `${indent}${quoteScalar(table.keyAt(entry))}: ${quoteScalar(table.valueAt(entry))}\n`;
    yield piece;
  }
}
