import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { checkpoint, connectWriter, watchFiles } from "./connect.ts";
import { BULK_OPERATIONS, createOperations } from "./operations.ts";
import { runGroup } from "./write-group.ts";
import type { WriteReply, WriteRequest } from "./write-group.ts";

/** What `createWriter` gives the thread in which this file runs. */
export interface WriterThreadData {
  readonly path: string;
}

export type WriterMessage = { readonly kind: "write"; readonly request: WriteRequest } | { readonly kind: "close" };

/** Most writes of one commit, so that the first does not wait long for the last: some 20 ms. */
const MAX_GROUP = 500;

/** How long after a commit the log is moved into the database, in ms. During an import its own thread does that. */
const CHECKPOINT_AFTER_MS = 1_000;

const { path } = workerData as WriterThreadData;
const port = parentPort;
if (port === null) throw new Error("this file runs in a worker thread");
const db = connectWriter(path);
const target = { db, path, operations: createOperations(db, isAwaited) };
/** Received, and not worked on yet. */
const received: WriterMessage[] = [];
let isCheckpointDue = false;
let lastImportMs = -Infinity;
const findMissing = watchFiles(path);

const reply = (replies: readonly WriteReply[]): void => {
  if (replies.length > 0) port.postMessage(replies);
};

function run(requests: readonly WriteRequest[]): readonly WriteReply[] {
  const missing = findMissing();
  if (missing === undefined) return runGroup(target, requests);
  const message = `the directory ${path} is not written any more, for ${missing} was removed or replaced: put it back and restart mailshunt`;
  return requests.map(({ id }) => ({
    kind: "failed",
    id,
    fault: { kind: "directory", code: "DIRECTORY_MISSING", message },
  }));
}

function checkpointLater(): void {
  if (isCheckpointDue) return;
  isCheckpointDue = true;
  setTimeout(() => {
    isCheckpointDue = false;
    if (performance.now() - lastImportMs < CHECKPOINT_AFTER_MS) {
      checkpointLater();
      return;
    }
    try {
      checkpoint(db);
    } catch {
      // Whatever is wrong, the next commit meets it too and says so.
    }
  }, CHECKPOINT_AFTER_MS).unref();
}

/** @returns whether there was another message */
function receive(): boolean {
  const next = port === null ? undefined : receiveMessageOnPort(port);
  if (next !== undefined) received.push(next.message as WriterMessage);
  return next !== undefined;
}

/** A piece of an import ends early then: whoever holds a user waits for the disk, not for the import. */
function isAwaited(): boolean {
  return received.length > 0 || receive();
}

port.on("message", (first: WriterMessage) => {
  received.push(first);
  while (received.length > 0) {
    while (received.length < MAX_GROUP && receive());
    workOn(received.splice(0));
  }
});

function workOn(messages: readonly WriterMessage[]): void {
  const requests = messages.flatMap((message) => (message.kind === "write" ? [message.request] : []));
  const isBulk = ({ name }: WriteRequest): boolean => BULK_OPERATIONS.has(name);
  const small = requests.filter((request) => !isBulk(request));
  // A hold is acknowledged before a piece of an import that happened to come with it, not after.
  if (small.length > 0) reply(run(small));
  for (const request of requests.filter(isBulk)) {
    reply(run([request]));
    if (request.name === "importUsers") lastImportMs = performance.now();
  }
  if (requests.length > 0) checkpointLater();
  if (messages.some((message) => message.kind === "close")) {
    db.close();
    port?.close();
  }
}
