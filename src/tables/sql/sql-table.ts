import { isIP } from "node:net";
import { certificateFile } from "../../core/certificate-file.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import { optional, required, withDefault } from "../../core/option-schema.ts";
import { absolutePath, choice, count, flag, remoteAddress, text } from "../../core/option-values.ts";
import { secretText } from "../../core/read-secret.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import type { SqlServer } from "./connection.ts";
import { parseQueries } from "./queries.ts";
import type { SqlQueries } from "./queries.ts";
import type { SqlDialect } from "./query.ts";
import { openServerSource } from "./server-source.ts";
import type { SqlServerOptions } from "./server-source.ts";
import { openSqliteSource } from "./sqlite-source.ts";
import type { SqliteOptions } from "./sqlite-source.ts";
import { defineType } from "../table-type.ts";

export type SqlTableOptions =
  | { readonly kind: "file"; readonly file: SqliteOptions }
  | { readonly kind: "server"; readonly server: SqlServerOptions };

type Driver = "sqlite" | "postgres" | "mysql" | "mariadb";

interface SqlSection {
  readonly driver: Driver;
  readonly file: string | undefined;
  readonly address: Endpoint | undefined;
  readonly database: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly tls: boolean;
  readonly ca_file: string | undefined;
  readonly pool: number;
  readonly get: string;
  readonly set: string | undefined;
  readonly unset: string | undefined;
  readonly increment: string | undefined;
  readonly list: string | undefined;
}

const dialectOf = (driver: Driver): SqlDialect => (driver === "mariadb" ? "mysql" : driver);

const DEFAULT_POOL = "10";

const query = (): ReturnType<typeof text> => text("an SQL query");

export const SQL = defineType({
  description:
    "A database, asked with your own queries. Placeholders such as `:key` become parameters of the driver, never text of the query.",
  kind: "remote",
  entries: {
    driver: required(choice(["sqlite", "postgres", "mysql", "mariadb"]), {
      description: "The database. `mysql` and `mariadb` are the same.",
      example: "postgres",
    }),
    file: optional(absolutePath(), {
      description:
        "For `sqlite`: the database. It is never made, and opened anew when another file stands in its place. " +
        "A query stops the whole daemon while it runs: it wants an index.",
    }),
    address: optional(remoteAddress(), {
      description:
        "For the others: `host:port` or `unix:/path` of the server's socket. PgBouncer must pool sessions, or know prepared statements (1.21).",
      example: "unix:/run/postgresql/.s.PGSQL.5432",
      isInSample: true,
    }),
    database: optional(text(), { description: "Its name on the server.", example: "mail", isInSample: true }),
    user: optional(text(), { description: "Who asks.", example: "mailshunt", isInSample: true }),
    password: optional(secretText(), {
      description: "The text itself, `{ file: /path }` or `{ env: NAME }`, read when the configuration is loaded.",
      example: "{ file: /etc/mailshunt/sql.password }",
    }),
    tls: withDefault(flag(), "false", {
      description: "Encrypts, and wants a certificate of the server's name that can be trusted. Over TCP only.",
    }),
    ca_file: optional(certificateFile(), {
      description: "PEM file of certificates to trust in place of the system's.",
      example: "/etc/mailshunt/ca.pem",
    }),
    pool: withDefault(count(1, 1_000), DEFAULT_POOL, { description: "Connections to the server at most." }),
    get: required(query(), {
      description:
        "Gives the values of `:key` (also `:localpart`, `:domain`) in its first column. Several rows are several values, NULL is none, and no row is absent.",
      example: "SELECT backend FROM mailboxes WHERE address = :key",
    }),
    set: optional(query(), {
      description:
        "Writes `:value` for `:key`, whether or not there is one already. `:expire_seconds` is NULL but for entries that expire.",
      example:
        "INSERT INTO mailboxes VALUES (:key, :value) ON CONFLICT (address) DO UPDATE SET backend = excluded.backend",
    }),
    unset: optional(query(), {
      description: "Removes `:key`.",
      example: "DELETE FROM mailboxes WHERE address = :key",
    }),
    increment: optional(query(), {
      description: "Adds the whole number `:by` to what `:key` has. When it writes no row there was nothing to add to.",
      example: "UPDATE quota SET bytes = bytes + :by WHERE address = :key",
    }),
    list: optional(query(), {
      description:
        "Gives keys in its first column and values in its second. With `:prefix` it may leave out keys that do not begin with it; " +
        "beware of LIKE, which takes `%`, `_` and `\\` for its own. Keys beside the prefix are dropped here. At most 1000000 rows.",
      example: "SELECT address, backend FROM mailboxes WHERE starts_with(address, :prefix)",
    }),
  },
  faultOf: (section): string | undefined => {
    const options = parseOptions(section);
    return options.kind === "bad" ? options.reason : undefined;
  },
  toOptions: (section): SqlTableOptions => {
    const options = parseOptions(section);
    if (options.kind === "bad") throw new Error(`checked before: ${options.reason}`);
    return options.value;
  },
  open: (options, context) =>
    options.kind === "file" ? openSqliteSource(options.file, context) : openServerSource(options.server, context),
});

function parseOptions(section: SqlSection): Parsed<SqlTableOptions> {
  const queries = parseQueries(section, dialectOf(section.driver));
  if (queries.kind === "bad") return queries;
  return section.driver === "sqlite" ? parseFile(section, queries.value) : parseServer(section, queries.value);
}

function parseFile(section: SqlSection, queries: SqlQueries): Parsed<SqlTableOptions> {
  const { file: path, address, database, user, password, tls, ca_file, pool } = section;
  if (path === undefined) return bad('"file" is missing: the path of the database');
  const others = { address, database, user, password, ca_file, tls: tls || undefined };
  const [stray] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (stray !== undefined || String(pool) !== DEFAULT_POOL)
    return bad(`"${stray ?? "pool"}" means nothing for sqlite: there is no server`);
  return ok({ kind: "file", file: { path, queries } });
}

function parseServer(section: SqlSection, queries: SqlQueries): Parsed<SqlTableOptions> {
  const { driver, file, address, database, user, password, tls, ca_file: ca, pool } = section;
  if (file !== undefined) return bad(`"file" is for sqlite: ${driver} has an "address"`);
  if (address === undefined) return bad(`"address" is missing: where ${driver} listens`);
  if (database === undefined) return bad(`"database" is missing: its name on the server`);
  if (user === undefined) return bad(`"user" is missing: who asks ${driver}`);
  if (tls && address.kind === "unix") return bad('"tls" is for TCP: a unix socket does not leave the machine');
  // Its library compares the certificate with "localhost" then.
  if (tls && driver !== "postgres" && address.kind === "tcp" && isIP(address.host) !== 0)
    return bad(`"tls" wants the server's name in "address": ${driver} certificates are not checked for IP addresses`);
  if (ca !== undefined && !tls) return bad('"ca_file" means nothing without "tls: true"');
  const server: SqlServer = {
    driver: driver === "postgres" ? "postgres" : "mysql",
    address,
    database,
    user,
    password,
    tls: tls ? { ca } : undefined,
  };
  return ok({ kind: "server", server: { server, maxConnections: pool, queries } });
}
