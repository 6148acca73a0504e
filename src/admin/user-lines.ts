import type { UserEntry } from "../directory/directory.ts";

interface Fault {
  readonly entry: number;
  readonly fault: string;
}

/** Lines of an import as they come; what is wrong with one is told, and the others count. */
export interface UserLines {
  /** The first of the faulty lines. */
  readonly faults: readonly Fault[];
  readonly faultCount: number;
  /** The entries, those left out whose backend is not known. */
  checked(backends: ReadonlySet<string>): AsyncIterable<UserEntry>;
}

/** How many faulty lines are told one by one. */
const MAX_FAULTS = 20;
const MAX_LINE_LENGTH = 10_000;

/** `user,backend` or two columns with blanks between; `#` begins a comment, quotes are CSV's. */
export function parseUsers(body: ReadableStream<Uint8Array>, toKey: (given: string) => string): UserLines {
  const faults: Fault[] = [];
  let faultCount = 0;
  const fault = (entry: number, text: string): void => {
    faultCount += 1;
    if (faults.length < MAX_FAULTS) faults.push({ entry, fault: text });
  };
  async function* checked(backends: ReadonlySet<string>): AsyncGenerator<UserEntry> {
    let number = 0;
    for await (const line of linesOf(body)) {
      number += 1;
      const text = line.trim();
      if (text === "" || text.startsWith("#") || (number === 1 && /^"?user"?[,;\s]+"?backend"?$/i.test(text))) continue;
      const columns = splitColumns(text);
      if (columns === undefined) fault(number, "expected `user,backend`");
      else if (!backends.has(columns[1])) fault(number, `there is no backend "${columns[1]}"`);
      else yield { user: toKey(columns[0]), backend: columns[1] };
    }
  }
  return {
    faults,
    get faultCount() {
      return faultCount;
    },
    checked,
  };
}

function splitColumns(text: string): readonly [string, string] | undefined {
  const match = /^(?:"((?:[^"]|"")*)"|([^",\s]+))[,\s]\s*(?:"((?:[^"]|"")*)"|([^",\s]+))$/.exec(text);
  if (match === null) return undefined;
  const [, quotedUser, user, quotedBackend, backend] = match;
  const unquote = (quoted: string | undefined, plain: string | undefined): string =>
    quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"');
  const columns = [unquote(quotedUser, user), unquote(quotedBackend, backend)] as const;
  return columns.includes("") ? undefined : columns;
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    // No user is that long: such a line is shown as one fault.
    if (rest.length > MAX_LINE_LENGTH) rest = rest.slice(0, MAX_LINE_LENGTH);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

/** Pages of lines. */
export async function* formatUsers(entries: AsyncIterable<UserEntry>): AsyncGenerator<string> {
  let lines = "";
  for await (const { user, backend } of entries) {
    lines += `${quote(user)},${quote(backend)}\n`;
    if (lines.length < PAGE_LENGTH) continue;
    yield lines;
    lines = "";
  }
  if (lines !== "") yield lines;
}

const PAGE_LENGTH = 65_536;

const quote = (text: string): string => (/[",\s]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
