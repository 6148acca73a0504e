import type { Answer, Change, TableEntry, WriteOutcome } from "../table.ts";

/** A source with whom nobody waits too long, and who is not asked too much. Never throws or rejects. */
export interface GuardedSource {
  readonly entryCount?: number;
  lookup(key: string): Answer | Promise<Answer>;
  readonly write: ((changes: readonly Change[]) => Promise<WriteOutcome>) | undefined;
  /** @throws TableFailure, and nothing else */
  readonly list: ((prefix: string) => AsyncIterable<readonly TableEntry[]>) | undefined;
  /** Resolves when what was under way has ended and the source is closed. */
  close(): Promise<void>;
}
