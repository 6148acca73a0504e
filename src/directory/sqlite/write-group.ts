import type { DatabaseSync } from "node:sqlite";
import { DirectoryFailed } from "../directory-failed.ts";
import type { DirectoryFaultCode } from "../directory-failed.ts";
import { toDirectoryFailed } from "./fault.ts";
import type { OperationName, Operations } from "./operations.ts";

export interface WriteRequest {
  readonly id: number;
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

/** An error as it goes from thread to thread. */
export type WriteFault =
  | { readonly kind: "directory"; readonly code: DirectoryFaultCode; readonly message: string }
  /** The caller asked for something that cannot be. */
  | { readonly kind: "range"; readonly message: string }
  | { readonly kind: "bug"; readonly message: string };

export type WriteReply =
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly fault: WriteFault };

export interface WriteTarget {
  readonly db: DatabaseSync;
  readonly path: string;
  readonly operations: Operations;
}

/** One transaction and one fsync for all of them. One that fails takes back its own changes alone. */
export function runGroup({ db, path, operations }: WriteTarget, requests: readonly WriteRequest[]): WriteReply[] {
  let isCommitting = false;
  try {
    db.exec("BEGIN IMMEDIATE");
    // One alone needs no savepoint: what it has changed goes with the transaction.
    const replies = requests.map(requests.length === 1 ? perform : runOne);
    isCommitting = true;
    db.exec("COMMIT");
    return replies;
  } catch (error) {
    const known = toFault(path, error);
    const fault: WriteFault =
      isCommitting && mayHaveCommitted(error)
        ? { kind: "directory", code: "DIRECTORY_OUTCOME_UNKNOWN", message: known.message }
        : known;
    if (db.isTransaction) db.exec("ROLLBACK");
    return requests.map(({ id }) => ({ kind: "failed", id, fault }));
  }

  function perform({ id, name, args }: WriteRequest): WriteReply {
    const operation = operations[name] as (...args: readonly unknown[]) => unknown;
    return { kind: "done", id, value: operation(...args) };
  }

  function runOne(request: WriteRequest): WriteReply {
    db.exec("SAVEPOINT one");
    try {
      const reply = perform(request);
      db.exec("RELEASE one");
      return reply;
    } catch (error) {
      // A full disk rolls back everything: then all of them have failed.
      if (!db.isTransaction) throw error;
      db.exec("ROLLBACK TO one; RELEASE one");
      return { kind: "failed", id: request.id, fault: toFault(path, error) };
    }
  }
}

/** SQLITE_IOERR. After a failed fsync the commit may be on the disk all the same, and come back after a crash. */
function mayHaveCommitted(error: unknown): boolean {
  const resultCode = error instanceof Error && "errcode" in error ? Number(error.errcode) : 0;
  return (resultCode & 0xff) === 10;
}

function toFault(path: string, cause: unknown): WriteFault {
  const error = toDirectoryFailed(path, cause);
  if (error instanceof DirectoryFailed) return { kind: "directory", code: error.code, message: error.message };
  if (error instanceof RangeError) return { kind: "range", message: error.message };
  return { kind: "bug", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
