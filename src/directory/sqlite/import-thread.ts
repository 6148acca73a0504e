import { parentPort, workerData } from "node:worker_threads";
import { checkpoint, connectWriter } from "./connect.ts";
import { mergeRuns, spill, userOf } from "./sorted-runs.ts";
import type { Entries } from "./sorted-runs.ts";

/** What `runImport` gives the thread in which this file runs. */
export interface ImportThreadData {
  readonly path: string;
  readonly isDryRun: boolean;
}

/** It asks for more and for writes at the same time, and waits for the answer of each before it asks again. */
export type ImportQuestion =
  | { readonly kind: "more" }
  /** `packed`: user NUL backend NUL user NUL … */
  | { readonly kind: "write"; readonly packed: string }
  | { readonly kind: "end"; readonly repeated: number };

export type ImportAnswer = ReadAnswer | WriteAnswer;
type ReadAnswer = { readonly kind: "entries"; readonly packed: string } | { readonly kind: "no-more" };
interface WriteAnswer {
  readonly kind: "written";
  /** Entries, from the first on; the others did not fit into the time that a batch has. */
  readonly taken: number;
}

/**
 * Most entries that are sorted in memory, and their characters: 150 MB. In the order of keys a batch touches few pages of
 * the database; in any order it would rewrite nearly one for each entry.
 */
const MAX_RUN_ENTRIES = 500_000;
const MAX_RUN_CHARACTERS = 32 * 1024 * 1024;

/** The first are fewer, each time twice as many, so that an import is soon seen to do something. */
const FIRST_RUN_ENTRIES = 16_000;

/** Entries of a batch. The next one has somewhat more than the last one took, and half as many at least. */
const FIRST_BATCH_ENTRIES = 1_000;
const MAX_BATCH_ENTRIES = 20_000;

/** Batches after which the log is moved into the database: 10 to 20 MB. */
const CHECKPOINT_AFTER_BATCHES = 15;

const { path, isDryRun } = workerData as ImportThreadData;
const port = parentPort;
if (port === null) throw new Error("this file runs in a worker thread");
const db = connectWriter(path);
let batchEntries = FIRST_BATCH_ENTRIES;
let sinceCheckpoint = 0;
let repeated = 0;

let onRead: ((answer: ReadAnswer) => void) | undefined;
let onWritten: ((answer: WriteAnswer) => void) | undefined;
port.on("message", (answer: ImportAnswer) => (answer.kind === "written" ? onWritten?.(answer) : onRead?.(answer)));

const ask = (question: ImportQuestion): void => port.postMessage(question);

function askForMore(): Promise<ReadAnswer> {
  const { promise, resolve } = Promise.withResolvers<ReadAnswer>();
  onRead = resolve;
  ask({ kind: "more" });
  return promise;
}

/** @returns how many were taken */
async function askToWrite(packed: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<WriteAnswer>();
  onWritten = resolve;
  ask({ kind: "write", packed });
  return (await promise).taken;
}

async function write(entries: Entries): Promise<void> {
  const rest = entries[Symbol.iterator]();
  const batch: string[] = [];
  for (;;) {
    while (batch.length < batchEntries) {
      const next = rest.next();
      if (next.done === true) break;
      batch.push(next.value);
    }
    if (batch.length === 0) return;
    const taken = await askToWrite(batch.join("\0"));
    // One that was cut short, because others wanted their turn, says little of how many there is time for.
    const least = taken < batch.length ? batchEntries / 2 : 0;
    batch.splice(0, taken);
    batchEntries = Math.min(MAX_BATCH_ENTRIES, Math.ceil(Math.max(taken * 1.2, least)));
    sinceCheckpoint += 1;
    if (isDryRun || sinceCheckpoint < CHECKPOINT_AFTER_BATCHES) continue;
    checkpoint(db);
    sinceCheckpoint = 0;
  }
}

/** @returns entries in order, the last one of each user; none at the end */
async function readRun(maxEntries: number): Promise<string[]> {
  const run = new Map<string, string>();
  let characters = 0;
  while (run.size < maxEntries && characters < MAX_RUN_CHARACTERS) {
    const answer = await askForMore();
    if (answer.kind === "no-more") break;
    characters += answer.packed.length;
    const fields = answer.packed.split("\0");
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const user = fields[at] ?? "";
      if (run.has(user)) repeated += 1;
      run.set(user, fields[at + 1] ?? "");
    }
  }
  // With no function of ours to compare: that takes five times as long.
  const users = [...run.keys()].sort();
  return users.map((user) => `${user}\0${run.get(user) ?? ""}`);
}

/** Those that could not be written at once, because they come in no order. */
const spilled: Entries[] = [];
let lastUser = "";
let writing = Promise.resolve();
for (let maxEntries = FIRST_RUN_ENTRIES; ; maxEntries = Math.min(MAX_RUN_ENTRIES, maxEntries * 2)) {
  const run = await readRun(maxEntries);
  const [first] = run;
  if (first === undefined) break;
  if (spilled.length > 0 || userOf(first) <= lastUser) {
    spilled.push(spill(`${path}.import`, run));
    continue;
  }
  // One run is written while the next is read.
  await writing;
  writing = write(run);
  lastUser = userOf(run.at(-1) ?? "");
}
await writing;
await write(mergeRuns(spilled, () => (repeated += 1)));
db.close();
ask({ kind: "end", repeated });
port.close();
