import type { UserEntry } from "../directory/directory.ts";

interface Fault {
  /** Line, from 1. */
  readonly entry: number;
  readonly fault: string;
}

/** Lines of an import as they come; what is wrong with one is told, and the others count. */
export interface UserLines {
  /** The first of the faulty lines. */
  readonly faults: readonly Fault[];
  readonly faultCount: number;
  readonly entries: AsyncIterable<UserEntry>;
}

export interface UserLinesParts {
  /** @throws Error that says why it names nobody */
  readonly keyOf: (given: string) => string;
  readonly backends: ReadonlySet<string>;
}

/** How many faulty lines are told one by one. */
const MAX_FAULTS = 20;

/** Longest line, in characters: two names of 1024 bytes, each character quoted, and room for blanks. */
const MAX_LINE_LENGTH = 10_000;

/** `user,backend`, `user;backend` or two columns with blanks between; `#` begins a comment, quotes are CSV's. */
export function parseUsers(body: AsyncIterable<Uint8Array>, { keyOf, backends }: UserLinesParts): UserLines {
  const faults: Fault[] = [];
  let faultCount = 0;
  const fault = (entry: number, text: string): undefined => {
    faultCount += 1;
    if (faults.length < MAX_FAULTS) faults.push({ entry, fault: text });
  };

  function parse(text: string, number: number): UserEntry | undefined {
    if (text.includes("\ufffd")) return fault(number, "is not UTF-8");
    const columns = splitColumns(text);
    if (columns === undefined) return fault(number, "expected `user,backend`");
    const [given, backend] = columns;
    if (!backends.has(backend)) return fault(number, `there is no backend "${backend.slice(0, SHOWN_CHARACTERS)}"`);
    try {
      return { user: keyOf(given), backend };
    } catch (error) {
      return fault(number, error instanceof Error ? error.message : String(error));
    }
  }

  async function* entries(): AsyncGenerator<UserEntry> {
    let number = 0;
    for await (const line of linesOf(body)) {
      number += 1;
      const text = line.trim();
      if (text === "" || text.startsWith("#")) continue;
      // With a backend of that name it is an entry like any other.
      if (number === 1 && HEADER.test(text) && !backends.has("backend")) continue;
      const entry =
        line.length > MAX_LINE_LENGTH
          ? fault(number, `has more than ${MAX_LINE_LENGTH} characters`)
          : parse(text, number);
      if (entry !== undefined) yield entry;
    }
  }

  return {
    faults,
    get faultCount() {
      return faultCount;
    },
    entries: entries(),
  };
}

const SHOWN_CHARACTERS = 80;
const HEADER = /^"?user"?(?:\s*[,;]\s*|\s+)"?backend"?$/i;
const LINE = /^(?:"((?:[^"]|"")*)"|([^",;\s]+))(?:\s*[,;]\s*|\s+)(?:"((?:[^"]|"")*)"|([^",;\s]+))$/;

function splitColumns(text: string): readonly [string, string] | undefined {
  const match = LINE.exec(text);
  if (match === null) return undefined;
  const [, quotedUser, user, quotedBackend, backend] = match;
  const columns = [user ?? unquote(quotedUser), backend ?? unquote(quotedBackend)] as const;
  return columns.includes("") ? undefined : columns;
}

const unquote = (quoted = ""): string => quoted.replaceAll('""', '"');

/** Of a line that is too long, one character more than it may have. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const [first = "", ...others] = decoder.decode(chunk, { stream: true }).split("\n");
    // What was cut off stays cut off.
    if (rest.length <= MAX_LINE_LENGTH) rest = (rest + first).slice(0, MAX_LINE_LENGTH + 1);
    for (const next of others) {
      yield rest;
      rest = next.slice(0, MAX_LINE_LENGTH + 1);
    }
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/** Size of a page of lines, in characters. */
const PAGE_LENGTH = 65_536;

/**
 * Pages of lines that an import takes as they are.
 * @param toKey what it makes of what stands there: `a@b`, the local part of `"a@b"@c.example`, is quoted once more
 */
export async function* formatUsers(
  entries: AsyncIterable<UserEntry>,
  toKey: (given: string) => string,
): AsyncGenerator<string> {
  let lines = "";
  for await (const { user, backend } of entries) {
    lines += `${quote(toKey(user) === user ? user : quoteLocalPart(user))},${quote(backend)}\n`;
    if (lines.length < PAGE_LENGTH) continue;
    yield lines;
    lines = "";
  }
  if (lines !== "") yield lines;
}

/** RFC 5321 4.1.2. */
const quoteLocalPart = (user: string): string => `"${user.replaceAll(/["\\]/g, "\\$&")}"`;

const quote = (text: string): string => (/^#|[",;\s]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
