import { Worker } from "node:worker_threads";
import type { Clock } from "../core/clock.ts";
import type { LoadResult } from "./config.ts";
import { wholeFileFault } from "./faults.ts";
import type { LoadRequest, LoadReply } from "./load-worker.ts";
import type { Format } from "./parts.ts";

export interface LoadOptions {
  /** Without it, the file's keys tell. */
  readonly format?: Format;
  /** Also reads from a pipe or a device: for commands. */
  readonly takesPipe?: boolean;
  /** Also warns of users and groups that this machine does not have: for `check`, which always takes a pipe. */
  readonly checksMachine?: boolean;
  /** See `LoadRequest`. */
  readonly contents?: Uint8Array | undefined;
  /** Keeps the deadline. Without it there is none: whoever types a command sees what it waits for. */
  readonly deadlineClock?: Clock;
}

/**
 * Heap of the worker, in MiB. One million users take 100, or 400 where the YAML parser must read each of them; a small
 * young generation then keeps 50 MB from being touched, and takes no longer.
 */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 4096, maxYoungGenerationSizeMb: 16 };

/** For all of it, in ms: a file on a server that is gone must not hold up every later reload. A million users take 2 s. */
const LOAD_DEADLINE_MS = 60_000;

/** This file's own ending, so that it works as TypeScript and as JavaScript. */
const WORKER_FILE = new URL(import.meta.url.replace(/load(\.[a-z]+)$/, "load-worker$1"));

/**
 * Reads and checks a configuration file in a worker thread, so that a table of a million users holds up nobody.
 * @throws only where we are at fault, never for what is wrong with the file
 */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<LoadResult> {
  const { format, takesPipe = false, checksMachine = false, contents, deadlineClock } = options;
  const result = await readInWorker({ path, format, takesPipe, checksMachine, contents }, deadlineClock);
  return result.kind === "faulty" ? result : { ...result, kind: "loaded" };
}

function readInWorker(request: LoadRequest, clock: Clock | undefined): Promise<LoadReply> {
  const { promise, resolve, reject } = Promise.withResolvers<LoadReply>();
  const worker = new Worker(WORKER_FILE, {
    workerData: request,
    resourceLimits: WORKER_LIMITS,
  });
  worker.once("message", resolve);
  const faulty = (reason: string): void => resolve({ kind: "faulty", faults: [wholeFileFault(request.path, reason)] });
  const timer = clock?.after(LOAD_DEADLINE_MS, () => {
    faulty(`cannot read it: it took longer than ${LOAD_DEADLINE_MS / 1000} s`);
    // Comes into effect when the kernel lets go of the thread, if ever: nobody waits for that.
    void worker.terminate();
    worker.unref();
  });
  worker.once("error", (error) => {
    if (isOutOfMemory(error)) faulty("it is too large: there is not enough memory");
    else reject(error);
  });
  // After a message this changes nothing.
  worker.once("exit", (code) => reject(new Error(`the worker that reads ${request.path} ended with code ${code}`)));
  return promise.finally(() => timer?.cancel());
}

const isOutOfMemory = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
