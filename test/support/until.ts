import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export interface Until {
  /** Deadline in ms. */
  readonly withinMs?: number;
  /** What to show when the deadline passes. */
  readonly describe?: () => string;
}

/** Between two looks at something that cannot call us, in ms. */
const LOOK_EVERY_MS = 20;
const DEFAULT_WITHIN_MS = 30_000;

/** Waits until `look` finds something, and returns it. */
export async function until<Found>(
  what: string,
  look: () => Found | undefined | Promise<Found | undefined>,
  options: Until = {},
): Promise<Found> {
  const withinMs = options.withinMs ?? DEFAULT_WITHIN_MS;
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline)
      throw new Error(`not within ${withinMs} ms: ${what}${options.describe ? `\n${options.describe()}` : ""}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** What a server has logged so far, and will. */
export interface ServerLog {
  readonly text: () => string;
  lines(): string[];
  /** The first line that matches, or will; `from` is a length of `text()` to start at. */
  waitFor(pattern: RegExp, options?: Until & { readonly from?: number }): Promise<string>;
}

/** How much of a log an error message repeats. */
const SHOWN_CHARACTERS = 3000;

/** Reads a growing file; it need not exist yet. */
export function followLog(path: string): ServerLog {
  let seen = "";
  let readBytes = 0;
  return followText(path, () => {
    const bytes = readFrom(path, readBytes);
    readBytes += bytes.length;
    seen += bytes.toString("latin1");
    return seen;
  });
}

/** Follows a text that only grows, such as the output of a process. */
export function followText(name: string, text: () => string): ServerLog {
  return {
    text,
    lines: () => text().split("\n"),
    waitFor(pattern, { from = 0, ...options } = {}) {
      const look = (): string | undefined =>
        text()
          .slice(from)
          .split("\n")
          .find((line) => pattern.test(line));
      const describe = (): string => `last lines of ${name}:\n${text().slice(-SHOWN_CHARACTERS)}`;
      return until(`a line like ${pattern} in ${name}`, look, { describe, ...options });
    },
  };
}

function readFrom(path: string, offset: number): Buffer {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - offset));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, offset));
  } finally {
    closeSync(file);
  }
}
