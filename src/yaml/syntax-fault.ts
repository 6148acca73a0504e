import type { YAMLException } from "js-yaml";

export interface ComposeFault {
  readonly offset: number;
  readonly message: string;
}

/** The parser's words for what an administrator sees otherwise. */
const CLEARER: ReadonlyMap<string, string> = new Map([
  ["deficient indentation", "this line is not indented enough, or a bracket or quote above it is not closed"],
]);

/** What the parser says at or below a line that it did not take for a key with its value. */
const LOST_KEY_REASON = /mapping (?:key|entry)/;
/** `user:backend`, which is one word in YAML. */
const GLUED_LINE = /^[ ]*[^\s:#"'{}[\],&*!|>%@`-][^\s:]*:(?=\S)/;
/** How far above the fault we look, in UTF-16 units. */
const LOOK_ABOVE = 4096;

/** The colon of the topmost such line, down to the one with the fault, with nothing else between them. */
function findGluedColon(text: string, offset: number): number | undefined {
  const end = text.slice(offset).search(/[\r\n]|$/) + offset;
  let colon: number | undefined;
  let lineEnd = end;
  for (let isFaulty = true; lineEnd >= 0 && end - lineEnd < LOOK_ABOVE; isFaulty = false) {
    // A search from before the beginning would find a line end at it.
    const lineStart = lineEnd === 0 ? 0 : text.lastIndexOf("\n", lineEnd - 1) + 1;
    const line = text.slice(lineStart, lineEnd);
    const glued = GLUED_LINE.exec(line)?.[0];
    if (glued !== undefined) colon = lineStart + glued.length - 1;
    else if (!isFaulty && !/^\s*(?:#|$)/.test(line)) break;
    if (lineStart === 0) break;
    lineEnd = lineStart - 1;
  }
  return colon;
}

/** Behind the last line with something in it: what the end of a file lacks is shown there. */
const endOfContent = (text: string): number => text.trimEnd().length;

export function describeSyntaxError(text: string, error: YAMLException): ComposeFault {
  const position = error.mark?.position ?? 0;
  const offset = Math.min(position, endOfContent(text));
  const isTab = /^[^\S\r\n]*\t/.test(text.slice(text.lastIndexOf("\n", Math.max(offset - 1, 0)) + 1, offset + 1));
  if (error.reason.startsWith("null byte")) return { offset, message: "a NUL byte: this is not a text file" };
  if (isTab) return { offset, message: `YAML takes no tabs for indentation (${error.reason})` };
  const colon = LOST_KEY_REASON.test(error.reason) ? findGluedColon(text, offset) : undefined;
  if (colon !== undefined) return { offset: colon, message: "not valid YAML: is a blank missing after this colon?" };
  if (offset < position && error.reason === "deficient indentation")
    return { offset, message: "not valid YAML: the file ends, and a bracket or quote is not closed" };
  return { offset, message: `not valid YAML: ${CLEARER.get(error.reason) ?? error.reason}` };
}
