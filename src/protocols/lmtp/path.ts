/** An address between angle brackets, as it came: quoting, case and extension kept, a source route taken off. */
export interface Path {
  /** Without the brackets, one character a byte; "" is the null sender. */
  readonly text: string;
}

export interface ParsedPath {
  readonly path: Path;
  /** What follows the closing bracket: the parameters. */
  readonly rest: string;
}

/** Longest path in bytes; RFC 5321 4.5.3.1.3 has 256, UTF-8 and local habit need more. */
const MAX_PATH_BYTES = 1000;

/** Nothing that could end a line or hide in a log: bytes from blank on, and 8-bit for UTF-8 (RFC 6531). */
const QUOTED = '"(?:[^"\\\\\\x00-\\x1f\\x7f]|\\\\[\\x20-\\x7e])*"';
const PLAIN = '[^"<>\\\\\\x00-\\x20\\x7f]';
const PATH = new RegExp(`^ *<(?:@[^:<>"\\x00-\\x20]+:)?((?:${QUOTED}|${PLAIN})*)>(?= |$)`);

/**
 * Parses `FROM:<…>` or `TO:<…>`. RFC 5321 4.1.2; a blank before the bracket is tolerated, a source route ignored.
 * What is no mailbox by the letter but harms nobody passes: the store decides.
 */
export function parsePath(text: string, keyword: "FROM:" | "TO:"): ParsedPath | undefined {
  if (text.slice(0, keyword.length).toUpperCase() !== keyword) return undefined;
  const after = text.slice(keyword.length);
  const match = PATH.exec(after);
  if (match?.[1] === undefined || match[1].length > MAX_PATH_BYTES) return undefined;
  return { path: { text: match[1] }, rest: after.slice(match[0].length) };
}
