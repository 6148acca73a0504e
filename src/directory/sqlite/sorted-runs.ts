import { openSync, readSync, rmSync, writeSync } from "node:fs";

/**
 * Entries of an import as `user NUL backend`, in order, each user once: their order is that of their users, for NUL comes
 * before all else. In a file two NULs end each of them, which no entry has within.
 */
export type Entries = Iterable<string>;

const END = "\0\0";

/** Written and read at once, in characters and bytes. */
const WRITTEN_CHARACTERS = 1024 * 1024;
const READ_BYTES = 256 * 1024;

/** Puts a run into a file that is gone with this thread, however that ends. */
export function spill(path: string, entries: Entries): Entries {
  rmSync(path, { force: true });
  const file = openSync(path, "wx+", 0o600);
  rmSync(path);
  let text = "";
  for (const entry of entries) {
    text += entry + END;
    if (text.length < WRITTEN_CHARACTERS) continue;
    writeAll(file, text);
    text = "";
  }
  writeAll(file, text);
  return readEntries(file);
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function* readEntries(file: number): Generator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; ;) {
    const bytes = Buffer.alloc(READ_BYTES);
    const length = readSync(file, bytes, 0, READ_BYTES, position);
    if (length === 0) return;
    position += length;
    rest = Buffer.concat([rest, bytes.subarray(0, length)]);
    const end = rest.lastIndexOf(END);
    if (end === -1) continue;
    yield* rest.toString("utf8", 0, end).split(END);
    rest = rest.subarray(end + END.length);
  }
}

export const userOf = (entry: string): string => entry.slice(0, entry.indexOf("\0"));

interface Head {
  entry: string;
  readonly run: number;
  readonly rest: Iterator<string>;
}

/**
 * All runs in one order. Of a user's entries that of the last run counts.
 * @param onRepeated called for each of the others
 */
export function* mergeRuns(runs: readonly Entries[], onRepeated: () => void): Generator<string> {
  const heap: Head[] = [];
  for (const [run, entries] of runs.entries()) {
    const rest = entries[Symbol.iterator]();
    const first = rest.next();
    if (first.done !== true) heap.push({ entry: first.value, run, rest });
  }
  for (let at = heap.length >> 1; at >= 0; at -= 1) sink(heap, at);

  let last: { user: string; entry: string; run: number } | undefined;
  for (let head = heap[0]; head !== undefined; head = heap[0]) {
    const { entry, run, rest } = head;
    if (last !== undefined && entry.startsWith(last.user)) {
      onRepeated();
      if (run > last.run) last = { user: last.user, entry, run };
    } else {
      if (last !== undefined) yield last.entry;
      last = { user: `${userOf(entry)}\0`, entry, run };
    }
    const next = rest.next();
    if (next.done !== true) head.entry = next.value;
    else {
      const end = heap.pop();
      if (end !== undefined && end !== head) heap[0] = end;
    }
    sink(heap, 0);
  }
  if (last !== undefined) yield last.entry;
}

/** Brings the head at a place of the heap down to where none under it comes before it. */
function sink(heap: Head[], from: number): void {
  for (let at = from; ;) {
    const left = heap[2 * at + 1];
    const right = heap[2 * at + 2];
    const own = heap[at];
    if (own === undefined || left === undefined) return;
    const isLeft = right === undefined || left.entry <= right.entry;
    const least = isLeft ? left : right;
    if (own.entry <= least.entry) return;
    const to = 2 * at + (isLeft ? 1 : 2);
    heap[at] = least;
    heap[to] = own;
    at = to;
  }
}
