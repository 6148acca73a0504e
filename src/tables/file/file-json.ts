import { EntryCollector, shorten } from "./file-findings.ts";
import type { ParsedFile } from "./file-findings.ts";

const BLANK = /[ \t\r\n]*/y;
/** What ends a number or a word. */
const WORD = /[^\s,:{}[\]"]*/y;
/** A string with a backslash or a control character means something else than what stands there, or is none. */
const NOT_LITERAL = /[\\\p{Cc}]/u;

/** A fault in the file. */
class NotJson extends Error {
  override readonly name = "NotJson";
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/**
 * One object of key to value. Strings are taken as they are, all else as its JSON text without blanks, in which
 * numbers keep every digit. Read entry by entry: `JSON.parse` of the whole would lose places, duplicates and digits.
 */
export function parseJsonTable(text: string, foldsKeys: boolean): ParsedFile {
  const entries = new EntryCollector("last", foldsKeys);
  try {
    readObject(text, entries);
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    entries.faults.add(error.offset, error.message);
  }
  return entries;
}

function readObject(text: string, entries: EntryCollector): void {
  let at = skipBlanks(text, 0);
  if (at === text.length) throw new NotJson(at, "there is nothing in the file: write {} for a table without entries");
  if (text[at] !== "{") throw new NotJson(at, `the file must be one object, {"key": "value"}`);
  at = skipBlanks(text, at + 1);
  if (text[at] !== "}")
    for (;;) {
      at = readEntry(text, at, entries);
      if (text[at] === "}") break;
      if (text[at] !== ",") throw new NotJson(at, at < text.length ? 'expected "," or "}" here' : CUT_SHORT);
      at = skipBlanks(text, at + 1);
    }
  at = skipBlanks(text, at + 1);
  if (at < text.length) throw new NotJson(at, 'there is something behind the closing "}"');
}

const CUT_SHORT = "the file ends before the table does";

/** @returns where what follows the value begins */
function readEntry(text: string, start: number, entries: EntryCollector): number {
  if (text[start] !== '"')
    throw new NotJson(start, start < text.length ? "expected a key between double quotes here" : CUT_SHORT);
  const keyEnd = endOfString(text, start);
  const key = readString(text, start, keyEnd);
  const colon = skipBlanks(text, keyEnd);
  if (text[colon] !== ":") throw new NotJson(colon, `expected ":" behind the key ${shorten(key)}`);
  const valueStart = skipBlanks(text, colon + 1);
  if (text[valueStart] === '"') {
    const valueEnd = endOfString(text, valueStart);
    entries.add(key, readString(text, valueStart, valueEnd), start);
    return skipBlanks(text, valueEnd);
  }
  const valueEnd = endOfValue(text, valueStart);
  const value = text.slice(valueStart, valueEnd);
  parseOrThrow(value, valueStart, `the value of ${shorten(key)}`);
  if (value === "null")
    entries.faults.add(start, `the value of ${shorten(key)} is null: take the entry out, or write "" for empty text`);
  else entries.add(key, compact(value), start);
  return skipBlanks(text, valueEnd);
}

function skipBlanks(text: string, at: number): number {
  BLANK.lastIndex = at;
  BLANK.test(text);
  return BLANK.lastIndex;
}

/** @param start of its opening quote */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  throw new NotJson(start, "a quote is not closed");
}

function readString(text: string, start: number, end: number): string {
  const content = text.slice(start + 1, end - 1);
  if (!NOT_LITERAL.test(content)) return content;
  const parsed = parseOrThrow(text.slice(start, end), start, "this string") as string;
  // It would be stored as U+FFFD.
  if (!parsed.isWellFormed()) throw new NotJson(start, "half of a surrogate pair, which is no character");
  return parsed;
}

/** The end of an array, an object, a number or a word. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length;) {
    const character = text[at];
    if (character === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") {
      depth -= 1;
      if (depth === 0) return at + 1;
      if (depth < 0) break;
    } else if (depth === 0) {
      WORD.lastIndex = at;
      WORD.test(text);
      if (WORD.lastIndex > at) return WORD.lastIndex;
      break;
    }
    at += 1;
  }
  if (depth > 0) throw new NotJson(start, "a bracket is not closed");
  throw new NotJson(start, "expected a value here");
}

function parseOrThrow(json: string, offset: number, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new NotJson(offset, `${what} is not valid JSON`);
  }
}

/** The same JSON without the blanks between its parts. */
const compact = (json: string): string => json.replaceAll(/("[^"\\]*(?:\\.[^"\\]*)*")|\s+/g, "$1");
