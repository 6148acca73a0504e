import type { YAMLException } from "js-yaml";

export interface ComposeFault {
  readonly offset: number;
  readonly message: string;
}

/** The parser's words for what an administrator sees otherwise. */
const CLEARER: ReadonlyMap<string, string> = new Map([
  ["deficient indentation", "this line is not indented enough, or a bracket or quote above it is not closed"],
]);

export function describeSyntaxError(text: string, error: YAMLException): ComposeFault {
  const offset = error.mark?.position ?? 0;
  const isTab = /^[^\S\r\n]*\t/.test(text.slice(text.lastIndexOf("\n", Math.max(offset - 1, 0)) + 1, offset + 1));
  if (error.reason.startsWith("null byte")) return { offset, message: "a NUL byte: this is not a text file" };
  if (isTab) return { offset, message: `YAML takes no tabs for indentation (${error.reason})` };
  return { offset, message: `not valid YAML: ${CLEARER.get(error.reason) ?? error.reason}` };
}
