import { isUtf8 } from "node:buffer";

/** A decoded file, and where its lines start. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** Offsets of the line's first character and of its end; `at` is between them. */
  readonly lineStart: number;
  readonly lineEnd: number;
  readonly at: number;
}

export type DecodeResult =
  | { readonly kind: "ok"; readonly source: SourceText }
  | { readonly kind: "bad"; readonly message: string; readonly line: number };

/** Drops a byte order mark; says in which line bytes are no UTF-8. */
export function decodeSource(path: string, bytes: Buffer): DecodeResult {
  const mark = bytes.subarray(0, 2).toString("hex");
  if (mark === "fffe" || mark === "feff")
    return { kind: "bad", message: "the file is UTF-16: save it as UTF-8", line: 1 };
  if (isUtf8(bytes)) return { kind: "ok", source: { path, text: new TextDecoder().decode(bytes) } };
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start);
    const next = end === -1 ? bytes.length : end + 1;
    if (!isUtf8(bytes.subarray(start, next))) break;
    start = next;
  }
  return { kind: "bad", message: "this line is not UTF-8 text", line };
}

/** YAML ends a line at LF, CR LF or a lone CR. */
const LINE_END = /\r\n|[\r\n]/g;

/** Finds positions of offsets that are asked in any order; a question costs one pass over the lines before it. */
export function createLocator(text: string): (offset: number) => Position {
  let known: Uint32Array | undefined;
  return (offset) => {
    known ??= findLineStarts(text);
    const wanted = Math.min(Math.max(offset, 0), text.length);
    let low = 0;
    let high = known.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((known[middle] ?? 0) <= wanted) low = middle;
      else high = middle - 1;
    }
    const lineStart = known[low] ?? 0;
    let lineEnd = low + 1 < known.length ? (known[low + 1] ?? 0) : text.length;
    while (lineEnd > lineStart && isLineEnd(text.charCodeAt(lineEnd - 1))) lineEnd--;
    const at = Math.min(wanted, lineEnd);
    return { line: low + 1, column: countCharacters(text.slice(lineStart, at)) + 1, lineStart, lineEnd, at };
  };
}

const isLineEnd = (code: number): boolean => code === 0x0a || code === 0x0d;

/** Past this many UTF-16 units a column is counted in these: a line may hold a million users. */
const MAX_COUNTED = 10_000;

export const countCharacters = (text: string): number => (text.length > MAX_COUNTED ? text.length : [...text].length);

function findLineStarts(text: string): Uint32Array {
  const starts = [0];
  for (const match of text.matchAll(LINE_END)) starts.push(match.index + match[0].length);
  return Uint32Array.from(starts);
}
