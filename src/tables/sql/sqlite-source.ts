import { errorText } from "../error-text.ts";
import type { Source, SourceContext } from "../source.ts";
import { DONE, TableFailure } from "../table.ts";
import type { Answer, Change, TableEntry, WriteOutcome } from "../table.ts";
import { endingOf, prepareChanges } from "./changes.ts";
import type { SqlChange } from "./changes.ts";
import { StatementRefused } from "./connection.ts";
import type { SqlQueries } from "./queries.ts";
import { MAX_LIST_ROWS, MAX_VALUES, toAnswer, toPages } from "./rows.ts";
import { DatabaseLocked, SqliteFile } from "./sqlite-file.ts";
import { fillIn, keyInputs, textParameter } from "./values.ts";

export interface SqliteOptions {
  readonly path: string;
  readonly queries: SqlQueries;
}

/** How long a write waits while another process is in a transaction, and how often it tries again, in ms. */
const LOCK_WAIT_MS = 1_000;
const LOCK_RETRY_MS = 25;

/** Answers in the same turn. */
export function openSqliteSource({ path, queries }: SqliteOptions, { clock }: SourceContext): Source {
  const isWritable = [queries.set, queries.unset, queries.increment].some((query) => query !== undefined);
  const file = new SqliteFile({ path, isWritable }, clock);
  const explain = (error: unknown): string => `sqlite ${path}: ${errorText(error)}`;

  function lookup(key: string): Answer {
    try {
      return toAnswer(file.select(queries.get, fillIn(queries.get, keyInputs(key)), MAX_VALUES));
    } catch (error) {
      const reason = explain(error);
      return error instanceof StatementRefused
        ? { kind: "failed", reason }
        : { kind: "failed", reason, scope: "source" };
    }
  }

  async function write(changes: readonly Change[], signal: AbortSignal): Promise<WriteOutcome> {
    const prepared = prepareChanges(changes, queries);
    if (typeof prepared === "string") return { kind: "failed", reason: prepared };
    if (prepared.length === 0) return DONE;
    const giveUpMs = clock.nowMs() + LOCK_WAIT_MS;
    for (;;) {
      try {
        file.begin();
        break;
      } catch (error) {
        const mayWait = error instanceof DatabaseLocked && !signal.aborted && clock.nowMs() < giveUpMs;
        if (!mayWait) return { kind: "failed", reason: explain(error) };
      }
      await new Promise<void>((resolve) => void clock.after(LOCK_RETRY_MS, resolve));
    }
    // All in the turn of the BEGIN, so that nobody else's changes come between.
    try {
      const ending = applyAll(file, prepared);
      if (ending === undefined) return commit(file, explain);
      file.command("ROLLBACK");
      return ending;
    } catch (error) {
      takeBack(file);
      return { kind: "failed", reason: explain(error) };
    }
  }

  const { list: listQuery } = queries;

  /** All rows are read at once: reading on while somebody reads slowly would keep writers out. */
  async function* list(prefix: string): AsyncGenerator<readonly TableEntry[]> {
    if (listQuery === undefined) return;
    try {
      const parameters = fillIn(listQuery, { prefix: textParameter(prefix) });
      yield* toPages(file.select(listQuery, parameters, MAX_LIST_ROWS), prefix);
    } catch (error) {
      throw new TableFailure(explain(error), { cause: error });
    }
  }

  return {
    lookup,
    ...(isWritable ? { write } : {}),
    ...(listQuery === undefined ? {} : { list }),
    close: () => file.close(),
  };
}

/** @returns how it ends, where that is not with a commit */
function applyAll(file: SqliteFile, changes: readonly SqlChange[]): WriteOutcome | undefined {
  for (const { change, statement, inputs } of changes) {
    const ending = endingOf(change, file.execute(statement, fillIn(statement, inputs)));
    if (ending !== undefined) return ending;
  }
  return undefined;
}

/** Only a lock is known to leave everything as it was. */
function commit(file: SqliteFile, explain: (error: unknown) => string): WriteOutcome {
  try {
    file.command("COMMIT");
    return DONE;
  } catch (error) {
    takeBack(file);
    const kind = error instanceof DatabaseLocked || error instanceof StatementRefused ? "failed" : "uncertain";
    return { kind, reason: `${explain(error)}, while committing` };
  }
}

/** Closing takes back what ROLLBACK did not. */
function takeBack(file: SqliteFile): void {
  try {
    file.command("ROLLBACK");
  } catch {
    file.close();
  }
}
