import { BulkBuilder } from "./bulk.ts";
import type { BulkNode } from "./node.ts";

/**
 * A table of a million users costs the YAML parser two million event objects (250 MB). So long runs of lines that
 * can mean only one thing are read by hand and cut out of the text before the parser sees it. The cut is undone
 * unless the parser finds the run's key where a block mapping has an empty value: see `Composer`.
 */
export interface Lifted {
  /** End of the last value, in the whole text, without its quote. */
  readonly lastEnd: number;
  readonly node: BulkNode;
  readonly duplicates: readonly { readonly offset: number; readonly key: string }[];
}

export interface LiftedText {
  readonly text: string;
  /** Runs by the offset that their key has in `text`. */
  readonly runs: ReadonlyMap<number, Lifted>;
  /** The offset in the whole text of an offset in `text`. */
  readonly original: (offset: number) => number;
}

/** Shorter runs stay where they are. */
const MIN_LINES = 1000;

/** Duplicate keys kept of one run, at most. */
const MAX_DUPLICATES = 100_000;

const HEADER = /^( *)(?:users|entries):[ ]*(?:#[^\r\n]*)?\r?\n/gm;
const IGNORED_LINE = /[ ]*(?:#[^\r\n]*)?(?:\r?\n|$)/y;
/** Plain text that neither begins with nor holds what YAML gives a meaning; quoted text without escapes. */
const NAME = String.raw`[\p{L}\p{N}_][\p{L}\p{N}_.@+=/!$%&'*?^~|<>;()#-]*|"[ !#-\[\]-~\u00a1-\ud7ff]*"|'[ -&(-~\u00a1-\ud7ff]*'`;
/** Indent, key, separator, value: of which each position follows. */
const ENTRY_LINE = new RegExp(String.raw`( +)(${NAME})([ ]*:[ ]+)(${NAME})(?:[ ]+#[^\r\n]*|[ ]*)(?:\r?\n|$)`, "uy");

export function liftTables(text: string, minLines = MIN_LINES): LiftedText {
  const runs = new Map<number, Lifted>();
  const cuts: { readonly at: number; readonly length: number }[] = [];
  const kept: string[] = [];
  let keptTo = 0;
  let cutLength = 0;
  for (let header = HEADER.exec(text); header !== null; header = HEADER.exec(text)) {
    const keyOffset = header.index + (header[1]?.length ?? 0);
    const start = HEADER.lastIndex;
    const run = readRun(text, start, header[1]?.length ?? 0);
    HEADER.lastIndex = run.end;
    if (run.lineCount < minLines) continue;
    runs.set(keyOffset - cutLength, run);
    kept.push(text.slice(keptTo, start));
    keptTo = run.end;
    cuts.push({ at: start - cutLength, length: run.end - start });
    cutLength += run.end - start;
  }
  HEADER.lastIndex = 0;
  kept.push(text.slice(keptTo));
  const original = (offset: number): number =>
    cuts.reduce((sum, { at, length }) => (offset >= at ? sum + length : sum), offset);
  return { text: runs.size === 0 ? text : kept.join(""), runs, original };
}

interface Run extends Lifted {
  readonly end: number;
  /** 0 where the lines are not all of the one simple kind. */
  readonly lineCount: number;
}

/** @param start where the first line below the header begins */
function readRun(text: string, start: number, headerIndent: number): Run {
  const duplicates: { offset: number; key: string }[] = [];
  let bulk: BulkBuilder | undefined;
  let indent = "";
  let lineCount = 0;
  let at = start;
  let lastEnd = start;
  const stop = (isWhole: boolean): Run => ({
    node: (bulk ?? new BulkBuilder(start)).finish(),
    duplicates,
    lastEnd,
    end: isWhole ? at : start,
    lineCount: isWhole ? lineCount : 0,
  });
  while (at < text.length) {
    IGNORED_LINE.lastIndex = at;
    if (IGNORED_LINE.test(text)) {
      at = IGNORED_LINE.lastIndex;
      continue;
    }
    ENTRY_LINE.lastIndex = at;
    const match = ENTRY_LINE.exec(text);
    const isBelow = countIndent(text, at) > headerIndent;
    if (!isBelow) break;
    if (match === null) return stop(false);
    const [, lineIndent = "", key = "", separator = "", value = ""] = match;
    bulk ??= new BulkBuilder(at + lineIndent.length);
    if (lineCount === 0) indent = lineIndent;
    if (lineIndent !== indent) return stop(false);
    const keyOffset = at + lineIndent.length;
    const name = unquote(key);
    const valueOffset = keyOffset + key.length + separator.length;
    const target = unquote(value);
    lastEnd = valueOffset + value.length - (target === value ? 0 : 1);
    const isNew = bulk.set(name, target, valueOffset);
    if (!isNew && duplicates.length < MAX_DUPLICATES) duplicates.push({ offset: keyOffset, key: name });
    lineCount++;
    at = ENTRY_LINE.lastIndex;
  }
  return stop(true);
}

function countIndent(text: string, lineStart: number): number {
  let at = lineStart;
  while (text.charCodeAt(at) === 0x20) at++;
  return at - lineStart;
}

const unquote = (raw: string): string => (raw.startsWith('"') || raw.startsWith("'") ? raw.slice(1, -1) : raw);
