import { Worker } from "node:worker_threads";
import { DirectoryFailed } from "../directory-failed.ts";
import type { OperationName, Operations } from "./operations.ts";
import type { WriteFault, WriteReply, WriteRequest } from "./write-group.ts";
import type { WriterMessage, WriterThreadData } from "./writer-thread.ts";

/** This file's own ending, so that it works as TypeScript and as JavaScript. */
const THREAD_FILE = new URL(import.meta.url.replace(/writer(\.[a-z]+)$/, "writer-thread$1"));

/** Writes in a thread of its own, so that no fsync and no check-point holds up the deliveries. */
export interface Writer {
  /** In the order of the calls; those that come while a commit is under way share the next one. */
  write<Name extends OperationName>(
    name: Name,
    ...args: Parameters<Operations[Name]>
  ): Promise<ReturnType<Operations[Name]>>;
  /** After all writes that were asked for; none may follow. */
  close(): Promise<void>;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** @param threadFile another thread than ours, for tests */
export function createWriter(path: string, threadFile: URL = THREAD_FILE): Writer {
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let worker: Worker | undefined;
  let isClosing = false;

  function start(): Worker {
    const started = new Worker(threadFile, { workerData: { path } satisfies WriterThreadData });
    started.unref();
    started.on("message", (replies: readonly WriteReply[]) => settle(started, replies));
    started.on("error", (error) => lose(started, error));
    started.on("exit", () => lose(started, undefined));
    return started;
  }

  function settle(from: Worker, replies: readonly WriteReply[]): void {
    for (const reply of replies) {
      const waiting = pending.get(reply.id);
      pending.delete(reply.id);
      if (reply.kind === "done") waiting?.resolve(reply.value);
      else waiting?.reject(toError(reply.fault));
    }
    if (pending.size === 0 && !isClosing) from.unref();
  }

  /** A bug or a lack of memory ended the thread. The next write starts another. */
  function lose(lost: Worker, cause: unknown): void {
    if (worker !== lost) return;
    worker = undefined;
    const reason = cause instanceof Error ? cause.message : "its thread ended";
    for (const { reject } of pending.values())
      reject(
        new DirectoryFailed("DIRECTORY_OUTCOME_UNKNOWN", `a write to the directory ${path} was cut off: ${reason}`, {
          cause,
        }),
      );
    pending.clear();
  }

  function send(message: WriterMessage): void {
    worker ??= start();
    worker.postMessage(message);
  }

  worker = start();
  return {
    write<Name extends OperationName>(name: Name, ...args: Parameters<Operations[Name]>) {
      const { promise, resolve, reject } = Promise.withResolvers<ReturnType<Operations[Name]>>();
      lastId += 1;
      const request: WriteRequest = { id: lastId, name, args };
      send({ kind: "write", request });
      pending.set(lastId, { resolve: resolve as (value: unknown) => void, reject });
      // Whoever awaits a commit must not find the process gone.
      worker?.ref();
      return promise;
    },

    async close() {
      isClosing = true;
      const closing = worker;
      if (closing === undefined) return;
      const ended = new Promise((resolve) => closing.once("exit", resolve));
      closing.ref();
      closing.postMessage({ kind: "close" } satisfies WriterMessage);
      await ended;
    },
  };
}

function toError(fault: WriteFault): Error {
  switch (fault.kind) {
    case "directory":
      return new DirectoryFailed(fault.code, fault.message);
    case "range":
      return new RangeError(fault.message);
    case "bug":
      return new Error(fault.message);
  }
}
