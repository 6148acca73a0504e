import { countEdits } from "../core/closest-name.ts";
import type { YamlNode } from "../yaml/node.ts";

/** Offsets between which a secret stands in the file. */
export interface SecretRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Also keys that were meant to be `password`: the line that reports the misspelling must not show it. Headers of a
 * request may hold what lets us in.
 */
export const isSecretKey = (key: string): boolean =>
  /pass|secret|pwd|token|^headers$/i.test(key) || countEdits(key.toLowerCase(), "password", 3) < 3;

export function findSecrets(root: YamlNode): SecretRange[] {
  const ranges: SecretRange[] = [];
  const seen = new Set<YamlNode>();
  const seenAsSecret = new Set<YamlNode>();
  const visit = (node: YamlNode, isSecret: boolean): void => {
    const visited = isSecret ? seenAsSecret : seen;
    if (visited.has(node)) return;
    visited.add(node);
    if (node.kind === "scalar" && isSecret) ranges.push({ start: node.offset, end: node.endOffset });
    if (node.kind === "sequence") for (const item of node.items) visit(item, isSecret);
    if (node.kind !== "mapping") return;
    for (const [key, { keyOffset, value }] of node.entries) {
      const isReference = isSecret && (key === "file" || key === "env");
      if (isSecret && !isReference) ranges.push({ start: keyOffset, end: keyOffset + key.length });
      visit(value, !isReference && (isSecret || isSecretKey(key)));
    }
  };
  visit(root, false);
  return ranges;
}

/** A part of one line. */
export interface LinePart {
  readonly lineStart: number;
  readonly from: number;
  readonly to: number;
}

/** How far before the shown part we look for the word `password`. */
const CONTEXT = 4096;

/** The part with every secret in it replaced by asterisks, one for each UTF-16 unit. */
export function hideSecrets(text: string, part: LinePart, secrets: readonly SecretRange[]): string {
  const { lineStart, from, to } = part;
  const context = Math.max(lineStart, from - CONTEXT);
  const masked = isBelowSecret(text, lineStart) ? mask(text.slice(context, to)) : maskValues(text.slice(context, to));
  let shown = masked.slice(from - context);
  for (const { start, end } of secrets) {
    if (end <= from || start >= to) continue;
    const [left, right] = [Math.max(start - from, 0), Math.min(end, to) - from];
    shown = shown.slice(0, left) + mask(shown.slice(left, right)) + shown.slice(right);
  }
  return shown.toWellFormed();
}

const mask = (secret: string): string => secret.replaceAll(/\S/g, "*");

const SECRET_KEY = String.raw`(?:pass|pwd|secret|token)\w*["']?\s*:\s*(?!\s*\{\s*["']?(?:file|env)["']?\s*:)`;
const VALUE_TO_LINE_END = new RegExp(`(?<=${SECRET_KEY})\\S.*$`, "i");
const VALUE_IN_BRACES = new RegExp(`(?<=${SECRET_KEY})(?=\\S)(?:"(?:[^"\\\\]|\\\\.)*"|'(?:[^']|'')*'|[^,}]*)`, "gi");
const IN_BRACES = /[{,]\s*["']?\w*(?:pass|pwd|secret|token)/i;

const USER_IN_URL = /(?<=:\/\/)[^/\s"'@]+(?=@)/g;

/** By the look of the line, for files that are no YAML, of which there is no tree. Rather hides too much. */
const maskValues = (line: string): string =>
  line.replace(IN_BRACES.test(line) ? VALUE_IN_BRACES : VALUE_TO_LINE_END, mask).replace(USER_IN_URL, mask);

const OPEN_SECRET = new RegExp(`${SECRET_KEY}[^{]*$`, "i");

const OPEN_QUOTE = new RegExp(`${SECRET_KEY}(?:"[^"]*|'[^']*)$`, "i");

/** Whether the line continues the value of a `password:` above it. */
function isBelowSecret(text: string, lineStart: number): boolean {
  const indent = countIndent(text.slice(lineStart, lineStart + CONTEXT));
  const context = text.slice(Math.max(0, lineStart - CONTEXT), lineStart);
  if (OPEN_QUOTE.test(context)) return true;
  const above = context.split(/\r\n|[\r\n]/);
  const parent = above.findLast((line) => line.trim() !== "" && countIndent(line) < indent);
  return parent !== undefined && OPEN_SECRET.test(parent);
}

const countIndent = (line: string): number => /^[ \t]*/.exec(line)?.[0].length ?? 0;
