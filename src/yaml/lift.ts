/**
 * A table of a million users costs the YAML parser two million event objects (250 MB). So long runs of lines that
 * can mean only one thing are cut out of the text before the parser sees it, and read by hand when it comes to where
 * they were. Whether they stood in a block mapping, between its entries, only the parser can tell: the composer checks
 * that, and has the whole text parsed where it was not so.
 */
export interface LiftedText {
  /** What is left for the parser. */
  readonly text: string;
  readonly whole: string;
  /** What was cut out below a key, by the key's offset in `text`. */
  readonly tables: ReadonlyMap<number, LiftedTable>;
  /** The offset in the whole text of an offset in `text`. */
  readonly original: (offset: number) => number;
}

export interface LiftedTable {
  /** Blanks before each key. */
  readonly indent: number;
  /** In the order of the text. */
  readonly pieces: readonly Piece[];
}

/** Lines that are entries of one mapping, comments and blank lines between them included. */
export interface Piece {
  /** Where they were, in the text that is left. */
  readonly at: number;
  /** Where they are, in the whole text. */
  readonly start: number;
  readonly end: number;
}

export interface LiftLimits {
  /** Tables with fewer simple lines stay where they are. */
  readonly minTableLines: number;
  /** So do shorter runs of simple lines. */
  readonly minPieceLines: number;
}

const LIMITS: LiftLimits = { minTableLines: 1000, minPieceLines: 20 };

const HEADER = /^( *)(?:users|entries):[ ]*(?:#[^\r\n]*)?\r?\n/gm;
const IGNORED_LINE = /[ ]*(?:#[^\r\n]*)?(?:\r?\n|$)/y;
const REST_OF_LINE = /[^\r\n]*(?:\r\n|[\r\n]|$)/y;
/** Plain text that neither begins with nor holds what YAML gives a meaning; quoted text without escapes. */
const NAME = String.raw`[\p{L}\p{N}_][\p{L}\p{N}_.@+=/!$%&'*?^~|<>;()#-]*|"[ !#-\[\]-~\u00a1-\ud7ff]*"|'[ -&(-~\u00a1-\ud7ff]*'`;
/** Indent, key, separator, value: of which each position follows. */
const ENTRY_LINE = new RegExp(String.raw`( +)(${NAME})([ ]*:[ ]+)(${NAME})(?:[ ]+#[^\r\n]*|[ ]*)(?:\r?\n|$)`, "uy");

export function liftTables(whole: string, limits: LiftLimits = LIMITS): LiftedText {
  const tables = new Map<number, LiftedTable>();
  const pieces: Piece[] = [];
  const kept: string[] = [];
  let keptTo = 0;
  let keptLength = 0;
  HEADER.lastIndex = 0;
  for (let header = HEADER.exec(whole); header !== null; header = HEADER.exec(whole)) {
    const headerIndent = header[1]?.length ?? 0;
    const found = findRuns(whole, HEADER.lastIndex, headerIndent, limits);
    if (found.lineCount < limits.minTableLines) continue;
    const keyOffset = keptLength + header.index + headerIndent - keptTo;
    const first = pieces.length;
    for (const { start, end } of found.runs) {
      kept.push(whole.slice(keptTo, start));
      keptLength += start - keptTo;
      keptTo = end;
      pieces.push({ at: keptLength, start, end });
    }
    tables.set(keyOffset, { indent: found.indent, pieces: pieces.slice(first) });
    HEADER.lastIndex = found.end;
  }
  HEADER.lastIndex = 0;
  kept.push(whole.slice(keptTo));
  return { text: pieces.length === 0 ? whole : kept.join(""), whole, tables, original: createMapping(pieces) };
}

export const liftNothing = (whole: string): LiftedText => ({
  text: whole,
  whole,
  tables: new Map(),
  original: (offset) => offset,
});

function createMapping(pieces: readonly Piece[]): (offset: number) => number {
  return (offset) => {
    let low = 0;
    let high = pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((pieces[middle]?.at ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    const last = pieces[low - 1];
    return last === undefined ? offset : offset - last.at + last.end;
  };
}

interface FoundRuns {
  readonly runs: readonly { readonly start: number; readonly end: number }[];
  readonly indent: number;
  readonly lineCount: number;
  /** Where the lines below the header end. */
  readonly end: number;
}

/** @param start where the first line below the header begins */
function findRuns(text: string, start: number, headerIndent: number, { minPieceLines }: LiftLimits): FoundRuns {
  const runs: { start: number; end: number }[] = [];
  let indent = 0;
  let lineCount = 0;
  let runStart = start;
  let runEnd = start;
  let runLines = 0;
  const endRun = (): void => {
    if (runLines >= minPieceLines) {
      runs.push({ start: runStart, end: runEnd });
      lineCount += runLines;
    }
    runLines = 0;
  };
  let at = start;
  while (at < text.length) {
    const afterIgnored = endOfMatch(IGNORED_LINE, text, at);
    if (afterIgnored !== undefined) {
      at = afterIgnored;
      continue;
    }
    const lineIndent = countIndent(text, at);
    if (lineIndent <= headerIndent) break;
    const afterEntry = indent === 0 || lineIndent === indent ? endOfMatch(ENTRY_LINE, text, at) : undefined;
    if (afterEntry === undefined) {
      endRun();
      at = endOfMatch(REST_OF_LINE, text, at) ?? text.length;
      continue;
    }
    indent = lineIndent;
    if (runLines === 0) runStart = at;
    runLines++;
    at = afterEntry;
    runEnd = at;
  }
  endRun();
  return { runs, indent, lineCount, end: at };
}

function endOfMatch(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function countIndent(text: string, lineStart: number): number {
  let at = lineStart;
  while (text.charCodeAt(at) === 0x20) at++;
  return at - lineStart;
}

export interface LiftedEntry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: string;
  readonly valueOffset: number;
  /** Where the value ends, without its quote. */
  readonly valueEnd: number;
}

export function* readPiece(text: string, { start, end }: Piece): IterableIterator<LiftedEntry> {
  let at = start;
  while (at < end) {
    ENTRY_LINE.lastIndex = at;
    const match = ENTRY_LINE.exec(text);
    if (match === null) {
      at = endOfMatch(IGNORED_LINE, text, at) ?? end;
      continue;
    }
    at = ENTRY_LINE.lastIndex;
    const [, indent = "", rawKey = "", separator = "", rawValue = ""] = match;
    const keyOffset = match.index + indent.length;
    const valueOffset = keyOffset + rawKey.length + separator.length;
    const value = unquote(rawValue);
    const valueEnd = valueOffset + rawValue.length - (value === rawValue ? 0 : 1);
    yield { key: unquote(rawKey), keyOffset, value, valueOffset, valueEnd };
  }
}

const unquote = (raw: string): string => (raw.startsWith('"') || raw.startsWith("'") ? raw.slice(1, -1) : raw);
