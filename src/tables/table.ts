/**
 * What a table says of a key. `absent` may bounce mail, `failed` must only ever delay it,
 * so a table that cannot tell answers `failed`.
 *
 * Keys and values are text. Bytes that are no UTF-8 travel in it as lone surrogates: see `wire/text.ts`.
 */
export type Answer =
  | {
      readonly kind: "found";
      /** Several results are joined by commas. */
      readonly value: string;
      /** The results one by one, where there are several. */
      readonly values?: readonly string[];
    }
  | { readonly kind: "absent" }
  | {
      readonly kind: "failed";
      readonly reason: string;
      /** `source`: it was not reached or did not answer, so that any other key would have failed too. */
      readonly scope?: "source";
    };

export const ABSENT: Answer = { kind: "absent" };

export function found(values: readonly string[]): Answer {
  const [only, ...others] = values;
  if (only === undefined) return ABSENT;
  return others.length === 0 ? { kind: "found", value: only } : { kind: "found", value: values.join(","), values };
}

/** One thing to write. The changes of one `write` go together, in order. */
export type Change =
  | { readonly kind: "set"; readonly key: string; readonly value: string; readonly expireSeconds?: number }
  | { readonly kind: "unset"; readonly key: string }
  | { readonly kind: "increment"; readonly key: string; readonly by: bigint };

export type WriteOutcome =
  | { readonly kind: "done" }
  /** An increment found nothing to increment; nothing was written. */
  | { readonly kind: "absent" }
  /** Nothing was written. */
  | { readonly kind: "failed"; readonly reason: string }
  /** Some or all of it may have been written. */
  | { readonly kind: "uncertain"; readonly reason: string };

export const DONE: WriteOutcome = { kind: "done" };

export interface TableEntry {
  readonly key: string;
  /** Undefined where the source lists keys alone. */
  readonly value?: string;
}

/** A table could not be listed to its end. */
export class TableFailure extends Error {
  override readonly name = "TableFailure";
  readonly code = "TABLE_FAILURE";
}

/** A table as listeners, commands and the router ask it. */
export interface Table {
  readonly name: string;
  /** How many keys it has, where that is known: for messages only. */
  readonly entryCount?: number;
  /** Memory and embedded databases answer in the same turn, so that a pipelined burst stays one write. Never throws or rejects. */
  lookup(key: string): Answer | Promise<Answer>;
  /** What the source says now: past this table's own cache, which is left alone. Undefined where there is none. */
  readonly lookupPastCache?: ((key: string) => Answer | Promise<Answer>) | undefined;
  /** Undefined where the type cannot write. Never rejects. */
  readonly write?: ((changes: readonly Change[]) => Promise<WriteOutcome>) | undefined;
  /**
   * Undefined where the type cannot list. All keys that begin with `prefix`, in pages.
   * @throws TableFailure, and nothing else, when it cannot go on
   */
  readonly list?: ((prefix: string) => AsyncIterable<readonly TableEntry[]>) | undefined;
  /** Forgets what it has cached. */
  readonly flush?: () => void;
  /** Forgets what it has cached of a key, and so does every table that asks it, of all keys. */
  readonly forget?: (key: string) => void;
}
