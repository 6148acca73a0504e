import { createHash } from "node:crypto";
import type * as PgModule from "pg";
import type { Client, ClientConfig, CustomTypesConfig, DatabaseError, QueryArrayConfig } from "pg";
import { errorText } from "../error-text.ts";
import { CONNECT_TIMEOUT_MS, StatementRefused, tooManyRows } from "./connection.ts";
import type { SqlConnection, SqlServer } from "./connection.ts";
import type { Statement } from "./query.ts";
import { toText } from "./values.ts";
import type { SqlParameter, SqlRow } from "./values.ts";

type Pg = typeof PgModule;

/** How often a backend looks whether we are still there while it runs a query, in ms; from PostgreSQL 14 on. */
const CHECK_CLIENT_MS = 5_000;
const CHECK_CLIENT = `SELECT set_config(name, '${CHECK_CLIENT_MS}', false) FROM pg_catalog.pg_settings
  WHERE name = 'client_connection_check_interval'`;

export async function connectPostgres(server: SqlServer, signal: AbortSignal): Promise<SqlConnection> {
  const pg = await import("pg");
  const client = new pg.Client(configOf(server, pg));
  const connection = new PostgresConnection(client, pg);
  const abort = (): void => connection.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await client.connect();
    await client.query(CHECK_CLIENT);
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function configOf({ address, database, user, password, tls }: SqlServer, pg: Pg): ClientConfig {
  return {
    ...hostOf(address),
    database,
    user,
    // Undefined would have it look into the environment and ~/.pgpass.
    password: () => {
      if (password === undefined) throw new Error("the server asks for a password, and the table has none");
      return password;
    },
    ssl: tls === undefined ? false : { rejectUnauthorized: true, ...(tls.ca === undefined ? {} : { ca: tls.ca }) },
    application_name: "mailshunt",
    client_encoding: "UTF8",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: asText(pg),
  };
}

/** A unix socket's name says its port: `/run/postgresql/.s.PGSQL.5432`. Its folder alone is enough. */
function hostOf(address: SqlServer["address"]): { readonly host: string; readonly port: number } {
  if (address.kind === "tcp") return { host: address.host, port: address.port };
  const [, folder = address.path, port = "5432"] = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(address.path) ?? [];
  return { host: folder, port: Number(port) };
}

/** Everything as the server writes it, but for bytes, and for booleans, which it shortens to a letter. */
function asText(pg: Pg): CustomTypesConfig {
  const { BOOL, BYTEA } = pg.types.builtins;
  const parseBytes = pg.types.getTypeParser(BYTEA) as (text: string) => unknown;
  const parsers: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
    [BOOL, (text) => (text === "t" ? "true" : "false")],
    [BYTEA, (text) => toText(parseBytes(text))],
  ]);
  return { getTypeParser: (oid: number) => parsers.get(oid) ?? ((text: string): unknown => text) };
}

class PostgresConnection implements SqlConnection {
  readonly #client: Client;
  readonly #pg: Pg;
  /** Of prepared statements, by their text. */
  readonly #names = new Map<string, string>();
  #isUsable = true;

  constructor(client: Client, pg: Pg) {
    this.#client = client;
    this.#pg = pg;
    client.on("error", () => (this.#isUsable = false));
    client.on("end", () => (this.#isUsable = false));
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  close(): void {
    this.#isUsable = false;
    this.#client.end().catch(() => undefined);
  }

  destroy(): void {
    this.#isUsable = false;
    this.#client.connection.stream.destroy();
  }

  select(statement: Statement, parameters: readonly SqlParameter[], maxRows: number): Promise<readonly SqlRow[]> {
    return new Promise((resolve, reject) => {
      const rows: SqlRow[] = [];
      const query = new this.#pg.Query<SqlRow & unknown[]>(this.#configOf(statement, parameters));
      query.on("row", (row) => {
        rows.push(row);
        if (rows.length <= maxRows) return;
        reject(tooManyRows(maxRows));
        this.destroy();
      });
      query.on("end", () => resolve(rows));
      query.on("error", (error: unknown) => reject(this.#refusalOf(error)));
      this.#client.query(query);
    });
  }

  async execute(statement: Statement, parameters: readonly SqlParameter[]): Promise<number | undefined> {
    const { rowCount } = await this.#query(this.#configOf(statement, parameters));
    return rowCount ?? undefined;
  }

  async begin(): Promise<void> {
    await this.#query({ text: "BEGIN" });
  }

  async commit(): Promise<void> {
    const { command } = await this.#query({ text: "COMMIT" });
    if (command !== "COMMIT") throw new StatementRefused(`the transaction ended with ${command}`);
  }

  async rollback(): Promise<boolean> {
    await this.#query({ text: "ROLLBACK" });
    return true;
  }

  async #query(config: {
    readonly text: string;
  }): Promise<{ readonly rowCount: number | null; readonly command: string }> {
    try {
      return await this.#client.query(config);
    } catch (error) {
      throw this.#refusalOf(error);
    }
  }

  #configOf({ sql: text }: Statement, parameters: readonly SqlParameter[]): QueryArrayConfig {
    let name = this.#names.get(text);
    if (name === undefined) this.#names.set(text, (name = nameOf(text)));
    const values = parameters.map((value) => (typeof value === "bigint" ? String(value) : value));
    return { text, values, name, rowMode: "array" };
  }

  /** Everything but an answer of the server ends the connection. */
  #refusalOf(error: unknown): Error {
    if (!(error instanceof this.#pg.DatabaseError)) {
      this.destroy();
      return error instanceof Error ? error : new Error(String(error));
    }
    const { severity = "", code = "", routine } = error;
    const isStale = STALE_STATEMENT.has(code) || routine === "RevalidateCachedQuery";
    if (isFatal(severity) || isStale) this.destroy();
    if (isFatal(severity)) return new Error(describe(error));
    return new StatementRefused(describe(error), {
      isServerDown: SERVER_DOWN.test(code),
      isImpossibleText: code === CHARACTER_NOT_IN_REPERTOIRE,
    });
  }
}

const isFatal = (severity: string): boolean => severity === "FATAL" || severity === "PANIC";

/** Insufficient resources, operator intervention (but for a cancelled statement), system error. Source: Appendix A of the manual. */
const SERVER_DOWN = /^(?:53|57P|58|XX)/;
const CHARACTER_NOT_IN_REPERTOIRE = "22021";

/** A prepared statement that the server has lost, or has twice: a new connection prepares it anew. */
const STALE_STATEMENT: ReadonlySet<string> = new Set(["26000", "42P05"]);

/** By content, for a pooler such as PgBouncer may give the backend of one table to another one. */
const nameOf = (sql: string): string => `mailshunt_${createHash("sha256").update(sql).digest("hex").slice(0, 24)}`;

const describe = (error: DatabaseError): string =>
  [errorText(error), ...(error.detail === undefined ? [] : [`(${error.detail})`])].join(" ");
