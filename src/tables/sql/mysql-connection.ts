import type * as MysqlModule from "mysql2";
import type { Connection, ConnectionOptions, QueryError, ResultSetHeader } from "mysql2";
import { errorText } from "../error-text.ts";
import { CONNECT_TIMEOUT_MS, StatementRefused, tooManyRows } from "./connection.ts";
import type { SqlConnection, SqlServer } from "./connection.ts";
import type { Statement } from "./query.ts";
import { toText } from "./values.ts";
import type { SqlParameter, SqlRow } from "./values.ts";

type Mysql = typeof MysqlModule;

export async function connectMysql(server: SqlServer, signal: AbortSignal): Promise<SqlConnection> {
  const { default: mysql } = (await import("mysql2")) as unknown as { readonly default: Mysql };
  const connection = new MysqlConnection(mysql.createConnection(configOf(server)), mysql);
  const abort = (): void => connection.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    await connection.whenConnected();
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function configOf({ address, database, user, password, tls }: SqlServer): ConnectionOptions {
  return {
    ...(address.kind === "unix" ? { socketPath: address.path } : { host: address.host, port: address.port }),
    database,
    user,
    ...(password === undefined ? {} : { password }),
    // Without verifyIdentity any certificate of a trusted authority would do, whatever its name.
    ...(tls === undefined
      ? {}
      : { ssl: { rejectUnauthorized: true, verifyIdentity: true, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } }),
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: "UTF8MB4_UNICODE_CI",
    // The server must not ask for our files.
    flags: ["-LOCAL_FILES"],
    rowsAsArray: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    jsonStrings: true,
    trace: false,
  };
}

class MysqlConnection implements SqlConnection {
  readonly #connection: Connection;
  readonly #mysql: Mysql;
  #isUsable = true;
  /** Of what is under way: the driver tells the connection alone when it breaks, not the query. */
  #onBroken: (error: Error) => void = () => undefined;

  constructor(connection: Connection, mysql: Mysql) {
    this.#connection = connection;
    this.#mysql = mysql;
    connection.on("error", (error: Error) => this.#break(error));
    connection.on("end", () => this.#break(new Error("the server closed the connection")));
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  whenConnected(): Promise<void> {
    return this.#whileUnbroken((resolve, reject) => {
      this.#connection.connect((error) => (error === null ? resolve() : reject(new Error(errorText(error)))));
    });
  }

  close(): void {
    this.#isUsable = false;
    this.#connection.end(() => undefined);
  }

  destroy(): void {
    this.#isUsable = false;
    this.#connection.destroy();
  }

  select(statement: Statement, parameters: readonly SqlParameter[], maxRows: number): Promise<readonly SqlRow[]> {
    return this.#whileUnbroken((resolve, reject) => {
      const rows: SqlRow[] = [];
      const query = this.#connection.execute({ sql: statement.sql, values: this.#valuesOf(parameters) });
      query.on("result", (row: unknown) => {
        // What is no array is the end of a statement that gives no rows.
        if (!Array.isArray(row)) return;
        rows.push(row.map(toText));
        if (rows.length <= maxRows) return;
        reject(tooManyRows(maxRows));
        this.destroy();
      });
      query.on("error", (error) => reject(this.#refusalOf(error)));
      query.on("end", () => resolve(rows));
    });
  }

  async execute(statement: Statement, parameters: readonly SqlParameter[]): Promise<number | undefined> {
    const result = await this.#run((done) =>
      this.#connection.execute(statement.sql, this.#valuesOf(parameters), (error, result) => done(error, result)),
    );
    return Array.isArray(result) ? result.length : (result as ResultSetHeader).affectedRows;
  }

  async begin(): Promise<void> {
    await this.#command("START TRANSACTION");
  }

  async commit(): Promise<void> {
    await this.#command("COMMIT");
  }

  /** What a table without transactions wrote stays, and the server warns. */
  async rollback(): Promise<boolean> {
    const { warningStatus } = await this.#command("ROLLBACK");
    return warningStatus === 0;
  }

  async #command(sql: string): Promise<ResultSetHeader> {
    const result = await this.#run((done) => this.#connection.query(sql, (error, result) => done(error, result)));
    return result as ResultSetHeader;
  }

  #run(begin: (done: (error: QueryError | null, result: unknown) => void) => void): Promise<unknown> {
    return this.#whileUnbroken((resolve, reject) => {
      begin((error, result) => (error === null ? resolve(result) : reject(this.#refusalOf(error))));
    });
  }

  #whileUnbroken<Value>(
    begin: (resolve: (value: Value) => void, reject: (error: Error) => void) => void,
  ): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#onBroken = reject;
      begin(resolve, reject);
    });
  }

  #break(error: Error): void {
    this.#isUsable = false;
    this.#onBroken(error);
  }

  /** Integers go as such: as text they would be added as floating-point numbers. */
  #valuesOf(parameters: readonly SqlParameter[]) {
    const { LONGLONG } = this.#mysql.TypedParameter;
    return parameters.map((value) => (typeof value === "bigint" ? LONGLONG(value) : value));
  }

  #refusalOf(error: unknown): Error {
    const { errno, fatal } = error as Partial<QueryError>;
    // What the driver reports of itself has no number, or a negative one of the system.
    if (errno === undefined || errno < 1000 || fatal === true || CONNECTION_ENDED.has(errno)) {
      this.destroy();
      return error instanceof Error ? error : new Error(String(error));
    }
    return new StatementRefused(errorText(error), { isServerDown: SERVER_DOWN.has(errno) });
  }
}

/** ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED of MariaDB, ER_CLIENT_INTERACTION_TIMEOUT. Source: the servers' error references. */
const CONNECTION_ENDED: ReadonlySet<number> = new Set([1053, 1927, 4031]);

/** Out of memory, disk, or files: ER_OUTOFMEMORY, ER_OUT_OF_SORTMEMORY, ER_OUT_OF_RESOURCES, ER_DISK_FULL. */
const SERVER_DOWN: ReadonlySet<number> = new Set([1037, 1038, 1041, 1021]);
