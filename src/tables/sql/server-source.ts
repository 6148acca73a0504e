import { formatEndpoint } from "../../core/endpoint.ts";
import { ConnectionPool } from "../connection-pool.ts";
import { errorText } from "../error-text.ts";
import type { Source, SourceContext } from "../source.ts";
import { ABSENT, DONE, TableFailure } from "../table.ts";
import type { Answer, Change, TableEntry, WriteOutcome } from "../table.ts";
import { StatementRefused } from "./connection.ts";
import type { SqlConnection, SqlServer } from "./connection.ts";
import { connectMysql } from "./mysql-connection.ts";
import { connectPostgres } from "./postgres-connection.ts";
import type { SqlQueries } from "./queries.ts";
import { endingOf, prepareChanges } from "./changes.ts";
import type { SqlChange } from "./changes.ts";
import { MAX_LIST_ROWS, MAX_VALUES, toAnswer, toPages } from "./rows.ts";
import { fillIn, keyInputs, textParameter } from "./values.ts";

export interface SqlServerOptions {
  readonly server: SqlServer;
  readonly maxConnections: number;
  readonly queries: SqlQueries;
}

const always = (): boolean => true;

/** PostgreSQL and MariaDB or MySQL. */
export function openServerSource(
  { server, maxConnections, queries }: SqlServerOptions,
  context: SourceContext,
): Source {
  const name = `${server.driver} at ${formatEndpoint(server.address)}`;
  const connect = server.driver === "postgres" ? connectPostgres : connectMysql;
  const pool = new ConnectionPool<SqlConnection>({
    maxConnections,
    clock: context.clock,
    connect: (signal) => connect(server, signal),
  });

  async function lookup(key: string, signal: AbortSignal): Promise<Answer> {
    try {
      const parameters = fillIn(queries.get, keyInputs(key));
      return toAnswer(
        await pool.use(signal, (connection) => connection.select(queries.get, parameters, MAX_VALUES), always),
      );
    } catch (error) {
      const reason = `${name}: ${errorText(error)}`;
      if (!(error instanceof StatementRefused) || error.isServerDown)
        return { kind: "failed", reason, scope: "source" };
      // No text of this database holds such bytes, so that it has no such key; dict_pgsql.c of Postfix says the same.
      return error.isImpossibleText && !isText(key) ? ABSENT : { kind: "failed", reason };
    }
  }

  async function write(changes: readonly Change[], signal: AbortSignal): Promise<WriteOutcome> {
    const prepared = prepareChanges(changes, queries);
    if (typeof prepared === "string") return { kind: "failed", reason: prepared };
    if (prepared.length === 0) return DONE;
    let hasBegun = false;
    const act = async (connection: SqlConnection): Promise<WriteOutcome> => {
      await connection.begin();
      hasBegun = true;
      const ending = await applyAll(connection, prepared);
      return ending === undefined ? commit(connection) : takeBack(connection, ending);
    };
    const outcome = await pool
      .use(signal, act, () => !hasBegun)
      .catch((error: unknown): WriteOutcome => ({ kind: "failed", reason: errorText(error) }));
    return "reason" in outcome ? { ...outcome, reason: `${name}: ${outcome.reason}` } : outcome;
  }

  const { list: listQuery } = queries;

  /** All rows are read before the first is given out, so that nobody holds a connection by reading slowly. */
  async function* list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly TableEntry[]> {
    if (listQuery === undefined) return;
    try {
      const parameters = fillIn(listQuery, { prefix: textParameter(prefix) });
      const select = (connection: SqlConnection): ReturnType<SqlConnection["select"]> =>
        connection.select(listQuery, parameters, MAX_LIST_ROWS);
      yield* toPages(await pool.use(signal, select, always), prefix);
    } catch (error) {
      throw new TableFailure(`${name}: ${errorText(error)}`, { cause: error });
    }
  }

  const isWritable = [queries.set, queries.unset, queries.increment].some((query) => query !== undefined);
  return {
    lookup,
    ...(isWritable ? { write } : {}),
    ...(listQuery === undefined ? {} : { list }),
    close: () => pool.close(),
  };
}

const isText = (key: string): boolean => key.isWellFormed() && !key.includes("\0");

/** @returns how it ends, where that is not with a commit */
async function applyAll(connection: SqlConnection, changes: readonly SqlChange[]): Promise<WriteOutcome | undefined> {
  try {
    for (const { change, statement, inputs } of changes) {
      const ending = endingOf(change, await connection.execute(statement, fillIn(statement, inputs)));
      if (ending !== undefined) return ending;
    }
    return undefined;
  } catch (error) {
    if (error instanceof StatementRefused) return { kind: "failed", reason: error.message };
    throw error;
  }
}

async function commit(connection: SqlConnection): Promise<WriteOutcome> {
  try {
    await connection.commit();
    return DONE;
  } catch (error) {
    connection.destroy();
    const reason = `${errorText(error)}, while committing`;
    return { kind: error instanceof StatementRefused ? "failed" : "uncertain", reason };
  }
}

/** A server that has lost the connection takes everything back as well. */
async function takeBack(connection: SqlConnection, ending: WriteOutcome): Promise<WriteOutcome> {
  const isTakenBack = await connection.rollback().catch(() => true);
  if (isTakenBack) return ending;
  const reason = "reason" in ending ? ending.reason : "there was nothing to increment";
  return { kind: "uncertain", reason: `${reason}, and a table without transactions took nothing back` };
}
