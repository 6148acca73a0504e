import { didYouMean } from "../../core/closest-name.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";

export type SqlDialect = "sqlite" | "postgres" | "mysql";

/** What may stand in a query behind a colon. */
export type Placeholder = "key" | "localpart" | "domain" | "value" | "by" | "expire_seconds" | "prefix";

/** A query as its driver takes it. */
export interface Statement {
  readonly sql: string;
  /** What goes into each of the driver's parameters, in order. */
  readonly parameters: readonly Placeholder[];
}

interface Lexis {
  /** What is copied as it is: strings, quoted names, comments, words, and operators that have a colon. */
  readonly copied: readonly RegExp[];
  /** What opens something that must be closed, where nothing of `copied` fits. */
  readonly opener: RegExp;
  /** The driver's own parameters, which would stay without a value. */
  readonly foreign: RegExp;
}

const WORD = /[\p{L}_][\p{L}\p{N}_$]*|\d[\p{L}\p{N}_.]*/uy;
const COLONS = /::|:=/y;
const PLAIN_STRING = /'(?:[^']|'')*'/y;
const QUOTED_NAME = /"(?:[^"]|"")*"/y;
const BACKTICKED_NAME = /`(?:[^`]|``)*`/y;
const LINE_COMMENT = /--[^\n]*/y;
/** Source: PostgreSQL 15, 4.1.2.4: the tag is like an unquoted name, without a dollar sign. */
const DOLLAR_QUOTED = /\$([\p{L}_][\p{L}\p{N}_]*)?\$[^]*?\$\1\$/uy;

const LEXIS: Readonly<Record<SqlDialect, Lexis>> = {
  sqlite: {
    copied: [LINE_COMMENT, /\/\*[^]*?(?:\*\/|$)/y, PLAIN_STRING, QUOTED_NAME, BACKTICKED_NAME, /\[[^\]]*\]/y, WORD],
    opener: /['"`[]/y,
    // Source: sqlite.org/lang_expr.html, "Parameters"; ours is the form with the colon.
    foreign: /\?\d*|[@$#][\p{L}_][\p{L}\p{N}_]*/uy,
  },
  postgres: {
    copied: [LINE_COMMENT, /[eE]'(?:[^'\\]|\\[^]|'')*'/y, PLAIN_STRING, QUOTED_NAME, DOLLAR_QUOTED, WORD, COLONS],
    opener: /['"]|\/\*/y,
    foreign: /\$\d+/y,
  },
  mysql: {
    copied: [
      // Without the blank these are two minus signs. Source: MySQL 8.0, 1.6.2.4.
      /--(?=\s|$)[^\n]*|#[^\n]*/y,
      /\/\*[^]*?\*\//y,
      /'(?:[^'\\]|\\[^]|'')*'/y,
      /"(?:[^"\\]|\\[^]|"")*"/y,
      BACKTICKED_NAME,
      WORD,
      COLONS,
    ],
    opener: /['"`]|\/\*/y,
    foreign: /\?/y,
  },
};

const OURS = /:([\p{L}_][\p{L}\p{N}_]*)/uy;

/**
 * Puts the driver's parameters in place of ours. Each occurrence gets one of its own, so that PostgreSQL may give it
 * a type of its own: `:key::uuid` beside `:key`.
 */
export function parseQuery(text: string, dialect: SqlDialect, known: readonly Placeholder[]): Parsed<Statement> {
  const lexis = LEXIS[dialect];
  const parameters: Placeholder[] = [];
  let sql = "";
  let at = 0;
  const matchAt = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const copied = matchCopied(text, at, dialect);
    if (copied !== undefined) {
      sql += copied;
      at += copied.length;
      continue;
    }
    const open = matchAt(lexis.opener);
    if (open !== null) return bad(`what begins with ${shorten(text.slice(at))} is never closed`);
    const foreign = matchAt(lexis.foreign);
    if (foreign !== null)
      return bad(`"${foreign[0]}" gets no value: write ${listPlaceholders(known)} where a value belongs`);
    const ours = matchAt(OURS);
    if (ours === null) {
      sql += text.charAt(at);
      at += 1;
      continue;
    }
    const [whole, name = ""] = ours;
    const placeholder = known.find((candidate) => candidate === name);
    if (placeholder === undefined) return bad(describeUnknown(name, known));
    parameters.push(placeholder);
    sql += dialect === "postgres" ? `$${parameters.length}` : "?";
    at += whole.length;
  }
  return ok({ sql, parameters });
}

function matchCopied(text: string, at: number, dialect: SqlDialect): string | undefined {
  if (dialect === "postgres" && text.startsWith("/*", at)) return matchNestedComment(text, at);
  for (const pattern of LEXIS[dialect].copied) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) return match[0];
  }
  return undefined;
}

/** Only PostgreSQL's comments nest. */
function matchNestedComment(text: string, from: number): string | undefined {
  let depth = 0;
  for (let at = from; at < text.length - 1; at += 1) {
    const pair = text.slice(at, at + 2);
    if (pair !== "/*" && pair !== "*/") continue;
    depth += pair === "/*" ? 1 : -1;
    if (depth === 0) return text.slice(from, at + 2);
    at += 1;
  }
  return undefined;
}

function describeUnknown(name: string, known: readonly Placeholder[]): string {
  return `there is no placeholder ":${name}" here: known are ${listPlaceholders(known)}${didYouMean(name, known)}`;
}

const listPlaceholders = (known: readonly Placeholder[]): string => known.map((name) => `:${name}`).join(", ");

const shorten = (text: string): string => (text.length > 20 ? `${text.slice(0, 20)}…` : text);
