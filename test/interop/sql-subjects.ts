import mysql from "mysql2";
import pg from "pg";
import { encodeText } from "../../src/wire/text.ts";
import { MARIADB_ADMIN, startMariadb } from "../support/mariadb.ts";
import { POSTGRES_ADMIN, startPostgres } from "../support/postgres.ts";

/** A password that would show if anybody put it into a statement or a URL. */
const PASSWORD = "pass 'word\" \\ @/";

/** A database server with a database `mail`, whose table `t (k, v)` the tables of the test ask. */
export interface SqlSubject {
  /** Options of a table over the unix socket, but for the queries. */
  readonly options: Readonly<Record<string, string>>;
  readonly tcpOptions: Readonly<Record<string, string>>;
  readonly queries: Readonly<Record<"get" | "set" | "unset" | "increment" | "list", string>>;
  /** As the administrator, on a connection of its own. */
  run(sql: string): Promise<void>;
  /** Exactly these entries in `t`. */
  replaceEntries(entries: ReadonlyMap<string, string>): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const asIs = (text: string): string | Buffer => (text.isWellFormed() ? text : encodeText(text));

export async function startPostgresSubject(): Promise<SqlSubject> {
  const server = await startPostgres();
  const { socket, port } = server;
  const [, host = ""] = /^(.*)\/[^/]*$/.exec(socket) ?? [];
  const query = async (sql: string, values: readonly unknown[] = [], database = "mail"): Promise<void> => {
    const client = new pg.Client({ host, port, user: POSTGRES_ADMIN, database });
    await client.connect();
    // Without values several statements may stand in one text.
    try {
      await client.query(sql, values.length === 0 ? undefined : [...values]);
    } finally {
      await client.end();
    }
  };
  await query("CREATE DATABASE mail", [], "postgres");
  await query(`CREATE TABLE t (k text PRIMARY KEY, v text);
    CREATE ROLE mailshunt LOGIN PASSWORD ${pg.escapeLiteral(PASSWORD)};
    GRANT ALL ON t TO mailshunt`);
  const common = { driver: "postgres", database: "mail", user: "mailshunt", password: PASSWORD };
  return {
    options: { ...common, address: `unix:${socket}` },
    tcpOptions: { ...common, address: `localhost:${port}`, tls: "true", ca_file: server.caFile },
    queries: {
      get: "SELECT v FROM t WHERE k = :key",
      set: "INSERT INTO t VALUES (:key, :value) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
      unset: "DELETE FROM t WHERE k = :key",
      increment: "UPDATE t SET v = v::bigint + :by WHERE k = :key",
      list: "SELECT k, v FROM t WHERE starts_with(k, :prefix)",
    },
    run: (sql) => query(sql),
    async replaceEntries(entries) {
      await query("DELETE FROM t");
      const insert = "INSERT INTO t SELECT * FROM unnest($1::text[], $2::text[])";
      await query(insert, [[...entries.keys()], [...entries.values()]]);
    },
    kill: server.kill,
    start: server.start,
    stop: server.stop,
  };
}

export async function startMariadbSubject(): Promise<SqlSubject> {
  const server = await startMariadb();
  const { socket, port } = server;
  const query = async (sql: string, values: readonly unknown[] = []): Promise<void> => {
    const options = { socketPath: socket, user: MARIADB_ADMIN, multipleStatements: true };
    const connection = mysql.createConnection(options).promise();
    try {
      await connection.query(sql, [...values]);
    } finally {
      await connection.end();
    }
  };
  const password = mysql.escape(PASSWORD);
  // Of bytes, so that keys are compared as they are; the longest key that may be indexed has 3072.
  await query(`CREATE DATABASE mail;
    CREATE TABLE mail.t (k varbinary(3000) PRIMARY KEY, v longblob);
    CREATE USER mailshunt@localhost IDENTIFIED BY ${password}, mailshunt@127.0.0.1 IDENTIFIED BY ${password};
    GRANT ALL ON mail.* TO mailshunt@localhost, mailshunt@127.0.0.1`);
  const common = { driver: "mariadb", database: "mail", user: "mailshunt", password: PASSWORD };
  return {
    options: { ...common, address: `unix:${socket}` },
    tcpOptions: { ...common, address: `localhost:${port}`, tls: "true", ca_file: server.caFile },
    queries: {
      get: "SELECT v FROM t WHERE k = :key",
      set: "INSERT INTO t VALUES (:key, :value) ON DUPLICATE KEY UPDATE v = VALUES(v)",
      unset: "DELETE FROM t WHERE k = :key",
      increment: "UPDATE t SET v = CAST(v AS SIGNED) + :by WHERE k = :key",
      list: "SELECT k, v FROM t WHERE left(k, length(:prefix)) = CAST(:prefix AS BINARY)",
    },
    run: (sql) => query(`USE mail; ${sql}`),
    async replaceEntries(entries) {
      await query("DELETE FROM mail.t");
      const rows = [...entries].map(([key, value]) => [asIs(key), asIs(value)]);
      if (rows.length > 0) await query("INSERT INTO mail.t VALUES ?", [rows]);
    },
    kill: server.kill,
    start: server.start,
    stop: server.stop,
  };
}
