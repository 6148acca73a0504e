import { RE2JS, RE2JSException } from "re2js";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";

/** A pattern as it stands in the file. */
export interface PatternText {
  readonly match: string;
  readonly value: string;
  readonly ignoresCase: boolean;
  /** `^` and `$` also match at line ends within the key. */
  readonly isMultiline: boolean;
  /** It answers for keys that do not match. */
  readonly isNegated: boolean;
}

/** A piece of a result: text as it is, or the number of a group. */
type Piece = string | number;

export interface CompiledPattern {
  /** What it answers for a key; undefined where it says nothing of it. */
  answer(key: string): string | undefined;
}

export type Compiled =
  | { readonly kind: "ok"; readonly pattern: CompiledPattern }
  | { readonly kind: "bad"; readonly part: "match" | "value"; readonly reason: string };

/** Instructions of a compiled pattern, at most: each character of a key may cost as many steps. */
const MAX_INSTRUCTIONS = 10_000;

/** RE2's syntax, matched in linear time, so that no key can hang us; unanchored, and `.` takes line ends: both as in Postfix. */
export function compilePattern(text: PatternText): Compiled {
  const fault = (part: "match" | "value", reason: string): Compiled => ({ kind: "bad", part, reason });
  let flags = RE2JS.DOTALL;
  if (text.ignoresCase) flags |= RE2JS.CASE_INSENSITIVE;
  if (text.isMultiline) flags |= RE2JS.MULTILINE;
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(text.match, flags);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    return fault("match", describeSyntaxError(error));
  }
  if (compiled.programSize() > MAX_INSTRUCTIONS)
    return fault("match", "the pattern is too complex: split it, or repeat fewer things fewer times");
  const pieces = parseValue(text.value);
  if (pieces.kind === "bad") return fault("value", pieces.reason);
  const groups = pieces.value.filter((piece) => typeof piece === "number");
  if (text.isNegated && groups.length > 0)
    return fault(
      "value",
      "a pattern with ! answers for keys that do not match, and so has no groups: write $$ for a dollar sign",
    );
  const missing = groups.find((group) => group > compiled.groupCount());
  if (missing !== undefined)
    return fault(
      "value",
      `the value has $${missing}, but ${describeCount(compiled.groupCount())}: write $$ for a dollar sign`,
    );
  return { kind: "ok", pattern: { answer: makeAnswer(compiled, pieces.value, text.isNegated, groups.length > 0) } };
}

function makeAnswer(
  compiled: RE2JS,
  pieces: readonly Piece[],
  isNegated: boolean,
  hasGroups: boolean,
): CompiledPattern["answer"] {
  const constant = pieces.join("");
  if (!hasGroups) return (key) => (compiled.test(key) === isNegated ? undefined : constant);
  return (key) => {
    // Without groups it is several times as fast.
    if (!compiled.test(key)) return undefined;
    const matcher = compiled.matcher(key);
    matcher.find();
    return pieces.map((piece) => (typeof piece === "string" ? piece : (matcher.group(piece) ?? ""))).join("");
  };
}

const describeCount = (count: number): string =>
  count === 0 ? "the pattern has no group in brackets" : `the pattern has only ${count} in brackets`;

/** `$1`, `${1}` or `$(1)` is a group, `$$` a dollar sign. */
function parseValue(value: string): Parsed<readonly Piece[]> {
  const pieces: Piece[] = [];
  let textFrom = 0;
  for (const found of value.matchAll(/\$(?:(\$)|(\d{1,3})|\{(\d{1,3})\}|\((\d{1,3})\)|)/g)) {
    const [whole, dollar, ...numbers] = found;
    const number = numbers.find((digits) => digits !== undefined);
    if (dollar === undefined && number === undefined)
      return bad("a dollar sign in the value is followed by a group's number, $1 or ${1}, or is written $$");
    pieces.push(value.slice(textFrom, found.index), number === undefined ? "$" : Number(number));
    textFrom = found.index + whole.length;
  }
  pieces.push(value.slice(textFrom));
  return ok(pieces.filter((piece) => piece !== ""));
}

/** What RE2 leaves out because it cannot be had in linear time, and other engines have. */
const UNSUPPORTED = /^(?:\(\?[=!<]|\\\d)/;

function describeSyntaxError(error: RE2JSException): string {
  const { error: reason, input } = error as { readonly error?: string; readonly input?: string };
  const part = input === undefined || input.startsWith("(?") ? "" : `, "${input}"`;
  if (UNSUPPORTED.test(input ?? ""))
    return `there are no lookaheads, lookbehinds and backreferences here: "${input}" (use several patterns, the first that matches counts)`;
  return `not a regular expression: ${reason ?? error.message}${part}`;
}

/** `/pattern/flags value` and `!/pattern/flags value`, as in Postfix's regexp: tables. */
export function parsePostfixLine(line: string): Parsed<PatternText> {
  const text = line.trim();
  if (/^(?:if|endif)\b/.test(text))
    return bad("there is no if and endif here: write what they enclose as patterns of their own");
  const isNegated = text.startsWith("!");
  const start = isNegated ? text.slice(1).trimStart() : text;
  const delimiter = start.charAt(0);
  if (!/[^\p{L}\p{N}\s\\]/u.test(delimiter))
    return bad(
      'expected a mapping of match and value, or a line of Postfix, such as "/^(.*)@old\\.example$/ $1@new.example"',
    );
  const { match, rest } = splitAt(start, delimiter);
  if (rest === undefined) return bad(`the pattern has no second ${delimiter}`);
  const [, flags = "", value = ""] = /^([a-zA-Z]*)\s+([^]+)$/.exec(rest) ?? [];
  if (value === "") return bad(`expected flags, a blank and a value behind the second ${delimiter}`);
  const unknown = /[^im]/.exec(flags)?.[0];
  if (unknown !== undefined) return bad(`there is no flag "${unknown}" here: known are i and m`);
  return ok({
    match,
    value,
    // Each letter toggles, as in Postfix; ignoring case is on at first.
    ignoresCase: countOf("i", flags) % 2 === 0,
    isMultiline: countOf("m", flags) % 2 === 1,
    isNegated,
  });
}

/** Up to the next delimiter that has no backslash before it; that backslash belongs to no pattern. */
function splitAt(text: string, delimiter: string): { readonly match: string; readonly rest: string | undefined } {
  let match = "";
  for (let at = 1; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === delimiter) return { match, rest: text.slice(at + 1) };
    if (character === "\\") {
      at += 1;
      if (text.charAt(at) !== delimiter) match += "\\";
      match += text.charAt(at);
    } else match += character;
  }
  return { match, rest: undefined };
}

const countOf = (letter: string, flags: string): number => [...flags].filter((flag) => flag === letter).length;
