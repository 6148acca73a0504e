import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../../core/clock.ts";
import { Slots } from "../wrappers/slots.ts";
import type { ReadReply, ReadRequest } from "./file-read.ts";

/** Heap of the worker, in MiB, as that of the configuration's loader: a million entries take 400. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 4096, maxYoungGenerationSizeMb: 16 };

/** For all of it, in ms: a file on a server that is gone. A million entries take 2 s. */
const LOAD_DEADLINE_MS = 60_000;

/** Files read at once in this process: a start with thirty tables must not take thirty threads. */
const slots = new Slots(2);

/** This file's own ending, so that it works as TypeScript and as JavaScript. */
const WORKER_FILE = new URL(import.meta.url.replace(/file-load(\.[a-z]+)$/, "file-load-worker$1"));

export interface Loading {
  /** Never rejects; undefined when it was stopped. */
  readonly reply: Promise<ReadReply | undefined>;
  stop(): void;
}

/** Reads a table's file in a worker thread, so that a million entries hold up nobody. */
export function loadFile(request: ReadRequest, clock: Clock): Loading {
  const { promise, resolve } = Promise.withResolvers<ReadReply | undefined>();
  let giveUp: (() => void) | undefined;
  let worker: Worker | undefined;
  let timer: Timer | undefined;
  let hasSlot = false;
  const end = (reply: ReadReply | undefined): void => {
    timer?.cancel();
    // It comes into effect when the kernel lets go of the thread, if ever: nobody waits for that.
    void worker?.terminate();
    worker?.unref();
    if (hasSlot) slots.release();
    hasSlot = false;
    resolve(reply);
  };
  const faulty = (text: string): void => end({ kind: "bad", faults: [{ line: 0, text }], faultCount: 1 });
  const begin = (): void => {
    giveUp = undefined;
    hasSlot = true;
    try {
      worker = new Worker(WORKER_FILE, { workerData: request, resourceLimits: WORKER_LIMITS });
    } catch (error) {
      faulty(describeWorkerError(error));
      return;
    }
    timer = clock.after(LOAD_DEADLINE_MS, () =>
      faulty(`cannot read it: it took longer than ${LOAD_DEADLINE_MS / 1000} s`),
    );
    worker.once("message", (reply: ReadReply) => end(reply));
    worker.once("error", (error: unknown) => faulty(describeWorkerError(error)));
    worker.once("exit", (code) => faulty(`its reader ended with code ${code}`));
  };
  if (slots.tryTake()) begin();
  else {
    giveUp = slots.wait(() => {
      begin();
      return true;
    });
    if (giveUp === undefined) faulty("too many files are to be read");
  }
  return {
    reply: promise,
    stop() {
      giveUp?.();
      end(undefined);
    },
  };
}

function describeWorkerError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  return code === "ERR_WORKER_OUT_OF_MEMORY" ? "it is too large: there is not enough memory" : error.message;
}
