import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { checkpoint, connectWriter } from "./connect.ts";

/** What `runImport` gives the thread in which this file runs. */
export interface ImportThreadData {
  readonly path: string;
  readonly isDryRun: boolean;
}

/** It asks and waits for the answer, one at a time. */
export type ImportQuestion =
  | { readonly kind: "more" }
  /** `packed`: user NUL backend NUL user NUL … */
  | { readonly kind: "write"; readonly packed: string }
  | { readonly kind: "end"; readonly repeated: number };

export type ImportAnswer =
  | { readonly kind: "entries"; readonly packed: string }
  | { readonly kind: "no-more" }
  | { readonly kind: "written"; readonly tookMs: number };

/**
 * Most entries that are sorted together, and their characters: 100 MB of memory. In the order of keys, a batch touches few
 * pages of the database; in any order it would rewrite one page for each entry.
 */
const MAX_RUN_ENTRIES = 500_000;
const MAX_RUN_CHARACTERS = 32 * 1024 * 1024;

/** The first are fewer, each time twice as many, so that an import is soon seen to do something. */
const FIRST_RUN_ENTRIES = 16_000;

/** How long a batch may keep other writes waiting, in ms; what it aims at. The size follows what the last one took. */
const BATCH_MS = 20;
const FIRST_BATCH_ENTRIES = 1_000;
const MIN_BATCH_ENTRIES = 100;
const MAX_BATCH_ENTRIES = 20_000;

/** Time spent on writing after which the log is moved into the database, in ms: some 20 MB. */
const CHECKPOINT_AFTER_MS = 300;

const { path, isDryRun } = workerData as ImportThreadData;
const port = parentPort;
if (port === null) throw new Error("this file runs in a worker thread");
const db = connectWriter(path);
let batchEntries = FIRST_BATCH_ENTRIES;
let sinceCheckpointMs = 0;
let repeated = 0;

const ask = async (question: ImportQuestion): Promise<ImportAnswer> => {
  port.postMessage(question);
  const [answer] = (await once(port, "message")) as [ImportAnswer];
  return answer;
};

/** Users and their backends, the last one of each user. */
async function write(entries: readonly (readonly [user: string, backend: string])[]): Promise<void> {
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  const last = sorted.filter(([user], at) => user !== sorted[at + 1]?.[0]);
  repeated += sorted.length - last.length;
  for (let at = 0; at < last.length;) {
    const batch = last.slice(at, at + batchEntries);
    at += batch.length;
    const answer = await ask({ kind: "write", packed: batch.flat().join("\0") });
    if (answer.kind !== "written") throw new Error(`expected the outcome of a batch, got ${answer.kind}`);
    const wanted = batchEntries * Math.min(2, Math.max(0.5, BATCH_MS / answer.tookMs));
    batchEntries = Math.round(Math.min(MAX_BATCH_ENTRIES, Math.max(MIN_BATCH_ENTRIES, wanted)));
    sinceCheckpointMs += answer.tookMs;
    if (isDryRun || sinceCheckpointMs < CHECKPOINT_AFTER_MS) continue;
    checkpoint(db);
    sinceCheckpointMs = 0;
  }
}

/** One text for each backend's name, however often it comes. */
const backends = new Map<string, string>();
let run: [string, string][] = [];
let runEntries = FIRST_RUN_ENTRIES;
let runCharacters = 0;
for (;;) {
  const answer = await ask({ kind: "more" });
  if (answer.kind !== "entries") break;
  runCharacters += answer.packed.length;
  const fields = answer.packed.split("\0");
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at + 1] ?? "";
    const backend = backends.get(name) ?? name;
    backends.set(backend, backend);
    run.push([fields[at] ?? "", backend]);
  }
  if (run.length < runEntries && runCharacters < MAX_RUN_CHARACTERS) continue;
  await write(run);
  run = [];
  runEntries = Math.min(MAX_RUN_ENTRIES, runEntries * 2);
  runCharacters = 0;
  backends.clear();
}
await write(run);
db.close();
port.postMessage({ kind: "end", repeated } satisfies ImportQuestion);
