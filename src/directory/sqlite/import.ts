import { Worker } from "node:worker_threads";
import type { Clock } from "../../core/clock.ts";
import type { ImportOptions, ImportReport, UserEntry } from "../directory.ts";
import { DirectoryFailed } from "../directory-failed.ts";
import { describeNameFault } from "../names.ts";
import type { ImportAnswer, ImportQuestion, ImportThreadData } from "./import-thread.ts";
import { MAX_LISTED } from "./user-writes.ts";
import type { Writer } from "./writer.ts";

/** This file's own ending, so that it works as TypeScript and as JavaScript. */
const THREAD_FILE = new URL(import.meta.url.replace(/import(\.[a-z]+)$/, "import-thread$1"));

/** Heap of the thread, in MiB. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 64 };

/** Entries taken from the source in one turn, half a ms, and at most this many characters. */
const CHUNK_ENTRIES = 1_000;
const CHUNK_CHARACTERS = 1024 * 1024;

/** Between two calls of `onProgress`, in ms. */
const PROGRESS_EVERY_MS = 250;

export interface ImportParts {
  readonly path: string;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

type Counts = { -readonly [Key in keyof ImportReport]: ImportReport[Key] };

/**
 * Entries go to a thread that sorts them and cuts them into batches; those come back to be written between other writes.
 * This thread only passes texts on.
 */
export async function runImport(
  source: AsyncIterable<UserEntry> | Iterable<UserEntry>,
  { author, dryRun: isDryRun = false, respectMovesTo = [], onProgress }: Omit<ImportOptions, "signal">,
  { path, writer, clock, signal }: ImportParts,
): Promise<ImportReport> {
  signal.throwIfAborted();
  const counts: Counts = { ...EMPTY_REPORT };
  const workerData: ImportThreadData = { path, isDryRun };
  const thread = new Worker(THREAD_FILE, { workerData, resourceLimits: THREAD_LIMITS });
  const chunks = readChunks(source, counts);
  const ended = Promise.withResolvers<number>();
  const abort = (): void => ended.reject(signal.reason);
  let lastProgressMs = clock.nowMs();
  let writing: Promise<ImportAnswer> | undefined;

  async function readMore(): Promise<ImportAnswer> {
    const chunk = await chunks.next();
    return chunk.done === true ? { kind: "no-more" } : { kind: "entries", packed: chunk.value };
  }

  async function write(packed: string): Promise<ImportAnswer> {
    const result = await writer.write(
      "importUsers",
      { packed, isDryRun, respectMovesTo },
      { ...author, atMs: clock.wallMs() },
    );
    counts.created += result.created;
    counts.changed += result.changed;
    counts.unchanged += result.unchanged;
    counts.refused += result.refused;
    counts.refusals = [...counts.refusals, ...result.refusals].slice(0, MAX_LISTED);
    counts.contradicted += result.contradicted;
    counts.contradictions = [...counts.contradictions, ...result.contradictions].slice(0, MAX_LISTED);
    if (clock.nowMs() - lastProgressMs >= PROGRESS_EVERY_MS) {
      lastProgressMs = clock.nowMs();
      onProgress?.({ ...counts });
    }
    return { kind: "written", taken: result.taken };
  }

  /** Entries are read while others are written, so questions of both kinds come at any time. */
  thread.on("message", (question: ImportQuestion) => {
    switch (question.kind) {
      case "more":
        answer(readMore());
        break;
      case "write":
        writing = write(question.packed);
        answer(writing);
        break;
      case "end":
        ended.resolve(question.repeated);
        break;
    }
  });
  const answer = (answered: Promise<ImportAnswer>): void =>
    void answered.then((message) => thread.postMessage(message)).catch(ended.reject);
  thread.once("error", (error: unknown) => ended.reject(cutOff(path, error)));
  thread.once("exit", () => ended.reject(cutOff(path, undefined)));
  signal.addEventListener("abort", abort, { once: true });
  try {
    counts.repeated = await ended.promise;
    return counts;
  } finally {
    // Whoever is told that it has ended must not see it write once more.
    thread.removeAllListeners("message");
    signal.removeEventListener("abort", abort);
    // Not awaited: a source that never answers again must not keep its reader.
    void chunks.return(undefined).catch(() => {});
    await Promise.allSettled([thread.terminate(), writing]);
  }
}

function cutOff(path: string, cause: unknown): DirectoryFailed {
  const reason = cause instanceof Error ? cause.message : "its thread ended";
  return new DirectoryFailed("DIRECTORY_ERROR", `the import into the directory ${path} was cut off: ${reason}`, {
    cause,
  });
}

const EMPTY_REPORT: ImportReport = {
  read: 0,
  created: 0,
  changed: 0,
  unchanged: 0,
  repeated: 0,
  refused: 0,
  refusals: [],
  contradicted: 0,
  contradictions: [],
  invalid: 0,
  faults: [],
};

/** Entries as `user NUL backend NUL user …`, or nothing. Counts them, and leaves out what is no name. */
async function* readChunks(
  source: AsyncIterable<UserEntry> | Iterable<UserEntry>,
  counts: Counts,
): AsyncGenerator<string, undefined> {
  let fields: string[] = [];
  let taken = 0;
  let characters = 0;
  for await (const { user, backend } of source) {
    counts.read += 1;
    taken += 1;
    const fault = faultOf("user", user) ?? faultOf("backend", backend);
    if (fault !== undefined) {
      counts.invalid += 1;
      if (counts.invalid <= MAX_LISTED) counts.faults = [...counts.faults, { entry: counts.read, fault }];
    } else {
      fields.push(user, backend);
      characters += user.length + backend.length;
    }
    if (taken < CHUNK_ENTRIES && characters < CHUNK_CHARACTERS) continue;
    yield fields.join("\0");
    fields = [];
    taken = 0;
    characters = 0;
  }
  yield fields.join("\0");
}

function faultOf(what: string, name: string): string | undefined {
  const fault = describeNameFault(name);
  return fault === undefined ? undefined : `the ${what} ${JSON.stringify(name.slice(0, 80))} ${fault}`;
}
