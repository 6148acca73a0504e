import type { Clock } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { Answer, Change, Table, TableEntry, WriteOutcome } from "./table.ts";
import type { TableViews } from "./views.ts";

/**
 * What a table type implements; wrappers make a `Table` of it. Whatever it throws or rejects with becomes `failed`
 * with scope `source`, so it need not catch what it cannot name better. It connects when it is first asked.
 */
export interface Source {
  readonly entryCount?: number;
  /** @param signal aborted when nobody waits for the answer any more */
  lookup(key: string, signal: AbortSignal): Answer | Promise<Answer>;
  readonly write?: (changes: readonly Change[], signal: AbortSignal) => Promise<WriteOutcome>;
  readonly list?: (prefix: string, signal: AbortSignal) => AsyncIterable<readonly TableEntry[]>;
  /** Called once, when nothing is under way any more. */
  readonly close?: () => void | Promise<void>;
}

export interface SourceContext {
  readonly name: string;
  readonly clock: Clock;
  /** The line names the table already. */
  readonly say: (level: LogLevel, text: string) => void;
  /** Another table, for types that are made of others. Only to be called while opening. */
  readonly tableNamed: (name: string) => Table;
  /** Undefined where there is no router, as for podop. */
  readonly views?: TableViews | undefined;
}
