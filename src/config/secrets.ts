import { closeSync, openSync, readSync } from "node:fs";
import { countEdits } from "../core/closest-name.ts";
import type { SecretSource } from "../core/secret.ts";
import { bad, ok } from "../core/units.ts";
import type { Parsed } from "../core/units.ts";
import { describeReadError } from "./read-error.ts";
import type { YamlNode } from "./yaml/node.ts";
import type { Position } from "./yaml/source-text.ts";

/** Longest password we read, in bytes: a path to the wrong file must not fill the memory. */
const MAX_SECRET_BYTES = 4096;

export function readSecret(source: SecretSource): Parsed<string> {
  switch (source.kind) {
    case "inline":
      return ok(source.text);
    case "env": {
      const value = process.env[source.name];
      if (value === undefined) return bad(`the environment has no variable "${source.name}"`);
      return value === "" ? bad(`the environment variable "${source.name}" is empty`) : ok(value);
    }
    case "file":
      return readSecretFile(source.path);
  }
}

function readSecretFile(path: string): Parsed<string> {
  const bytes = Buffer.alloc(MAX_SECRET_BYTES + 1);
  let length: number;
  try {
    const file = openSync(path, "r");
    try {
      length = readSync(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return bad(`cannot read ${path}: ${describeReadError(error)}`);
  }
  if (length > MAX_SECRET_BYTES) return bad(`${path} is no password: it has more than ${MAX_SECRET_BYTES} bytes`);
  const password = bytes.toString("utf8", 0, length).replace(/\r?\n$/, "");
  if (password === "") return bad(`${path} is empty`);
  return /[\0\r\n]/.test(password) ? bad(`${path} is no password: it has several lines`) : ok(password);
}

/** Offsets between which a secret stands in the file. */
export interface SecretRange {
  readonly start: number;
  readonly end: number;
}

/** Also keys that were meant to be `password`: the line that reports the misspelling must not show it. */
const isSecretKey = (key: string): boolean =>
  /pass|secret|pwd/i.test(key) || countEdits(key.toLowerCase(), "password", 3) < 3;

export function findSecrets(root: YamlNode): SecretRange[] {
  const ranges: SecretRange[] = [];
  const seen = new Set<YamlNode>();
  const visit = (node: YamlNode, isSecret: boolean): void => {
    if (node.kind === "scalar") {
      if (isSecret) ranges.push({ start: node.offset, end: node.endOffset });
      return;
    }
    // Seen once as a secret and once not, a shared node is a secret.
    if (seen.has(node) && !isSecret) return;
    seen.add(node);
    if (node.kind === "sequence") for (const item of node.items) visit(item, isSecret);
    if (node.kind !== "mapping") return;
    for (const [key, { keyOffset, value }] of node.entries) {
      const isReference = isSecret && (key === "file" || key === "env");
      if (isSecret && !isReference) ranges.push({ start: keyOffset, end: keyOffset + key.length });
      visit(value, isReference ? false : isSecret || isSecretKey(key));
    }
  };
  visit(root, false);
  return ranges;
}

const MASK = "*";

/** The line with every secret in it replaced by as many asterisks, so that a caret below still fits. */
export function hideSecretsInLine(text: string, position: Position, secrets: readonly SecretRange[]): string {
  const { lineStart, sourceLine } = position;
  const characters = [...maskByPattern(text, position)];
  for (const { start, end } of secrets) {
    if (end <= lineStart || start >= lineStart + sourceLine.length) continue;
    const before = [...sourceLine.slice(0, Math.max(start - lineStart, 0))].length;
    const within = [...sourceLine.slice(0, Math.max(end - lineStart, 0))].length;
    for (let at = before; at < Math.min(within, characters.length); at++) characters[at] = MASK;
  }
  return characters.join("");
}

const SECRET_LINE = /(?:pass|pwd|secret)\w*["']?\s*:\s*(?!\{\s*["']?(?:file|env)["']?\s*:)(?<value>\S.*)$/i;
const BLOCK_SECRET = /(?:pass|pwd|secret)\w*["']?\s*:\s*[|>&!]?[^{]*$/i;

/** For files that are no YAML, of which there is no tree. Rather hides too much. */
function maskByPattern(text: string, { lineStart, sourceLine }: Position): string {
  const value = SECRET_LINE.exec(sourceLine)?.groups?.["value"];
  if (value !== undefined) {
    const isFlow = /[{,]\s*["']?\w*(?:pass|pwd|secret)/i.test(sourceLine);
    const secret = isFlow ? (/^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,}]*)/.exec(value)?.[0] ?? value) : value;
    const at = sourceLine.length - value.length;
    return sourceLine.slice(0, at) + mask(secret) + sourceLine.slice(at + secret.length);
  }
  return isBelowSecret(text, lineStart, sourceLine) ? mask(sourceLine) : sourceLine;
}

const mask = (secret: string): string =>
  [...secret].map((character) => (/\s/.test(character) ? character : MASK)).join("");

/** Whether the line continues the value of a `password:` above it. */
function isBelowSecret(text: string, lineStart: number, sourceLine: string): boolean {
  const indent = /^[ \t]*/.exec(sourceLine)?.[0].length ?? 0;
  for (const line of text
    .slice(Math.max(0, lineStart - MAX_SECRET_BYTES), lineStart)
    .split(/\r\n|[\r\n]/)
    .reverse()) {
    if (line.trim() === "" || (/^[ \t]*/.exec(line)?.[0].length ?? 0) >= indent) continue;
    return BLOCK_SECRET.test(line);
  }
  return false;
}
