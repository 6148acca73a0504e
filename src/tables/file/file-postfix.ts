import { EntryCollector, shorten } from "./file-findings.ts";
import type { ParsedFile } from "./file-findings.ts";

/** C's isspace(), but for the line end. */
const BLANKS = " \\t\\v\\f\\r";
/** Up to the first blank that is neither between quotes nor behind a backslash. */
const KEY = new RegExp(String.raw`(?:[^"\\${BLANKS}]+|\\[^]?|"[^"\\]*(?:\\[^][^"\\]*)*")*`, "y");
const IGNORED_LINE = new RegExp(`^[${BLANKS}]*(?:#|$)`);
const LEADING_BLANK = new RegExp(`^[${BLANKS}]`);
const BLANK = new RegExp(`[${BLANKS}]`);

/**
 * The text that postmap(1) reads: `key value` lines, continued by lines that begin with a blank. Comments and blank
 * lines end no entry. Quotes belong to the key, and of two entries with one key the first counts: both as postmap does
 * (3.7, seen). Where postmap warns and skips a line this is a fault, for a user who is skipped would be unknown.
 */
export function parsePostfixText(text: string, foldsKeys: boolean): ParsedFile {
  const entries = new EntryCollector("first", foldsKeys);
  const nul = text.indexOf("\0");
  if (nul !== -1) {
    const advice = "name the text that postmap reads, not its .db";
    entries.faults.add(nul, `this is not a text file, there is a NUL byte: ${advice}`);
    return entries;
  }
  let entry = "";
  let entryStart = 0;
  for (let lineStart = 0; lineStart < text.length;) {
    const newline = text.indexOf("\n", lineStart);
    const lineEnd = newline === -1 ? text.length : newline;
    const line = text.slice(lineStart, lineEnd);
    if (!IGNORED_LINE.test(line)) {
      if (!LEADING_BLANK.test(line)) {
        addEntry(entries, entry, entryStart);
        entry = line;
        entryStart = lineStart;
      } else if (entry !== "") entry += line;
      else
        entries.faults.add(lineStart, "the first entry must not begin with a blank: a blank continues the line above");
    }
    lineStart = lineEnd + 1;
  }
  addEntry(entries, entry, entryStart);
  return entries;
}

function addEntry(entries: EntryCollector, entry: string, offset: number): void {
  if (entry === "") return;
  KEY.lastIndex = 0;
  const key = KEY.exec(entry)?.[0] ?? "";
  const rest = entry.slice(key.length);
  if (rest.startsWith('"')) {
    entries.faults.add(offset, `a quote is not closed in ${shorten(entry)}`);
    return;
  }
  const value = trimBlanks(rest);
  if (value === "" || key === "") {
    entries.faults.add(offset, `expected a key, a blank and a value, got ${shorten(entry)}`);
    return;
  }
  if (key.endsWith(":"))
    entries.warnings.add(
      offset,
      `the key ${shorten(key)} ends with a colon: is this a file for newaliases, not for postmap?`,
    );
  entries.add(key, value, offset);
}

/** As `trim`, which would take other blanks than C's too. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANK.test(text.charAt(start))) start += 1;
  while (end > start && BLANK.test(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
