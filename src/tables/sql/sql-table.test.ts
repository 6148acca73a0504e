import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf } from "../../../test/support/open-type.ts";
import type { RawOptions } from "../../../test/support/open-type.ts";
import { SQL } from "./sql-table.ts";

const GET = "SELECT v FROM t WHERE k = :key";
const sqlite = { driver: "sqlite", file: "/var/lib/mail.db", get: GET };
const server = { driver: "postgres", address: "db.example:5432", database: "mail", user: "reader", get: GET };

const right: readonly [what: string, options: RawOptions][] = [
  ["a file", sqlite],
  ["a server", server],
  ["MySQL over its socket", { ...server, driver: "mysql", address: "unix:/run/mysqld/mysqld.sock", pool: "4" }],
  ["MariaDB over TLS", { ...server, driver: "mariadb", tls: "true" }],
  ["a query by parts of the address", { ...sqlite, get: "SELECT v FROM t WHERE u = :localpart AND d = :domain" }],
  [
    "all queries",
    {
      ...sqlite,
      set: "INSERT INTO t VALUES (:key, :value, :expire_seconds)",
      unset: "DELETE FROM t WHERE k = :key",
      increment: "UPDATE t SET v = v + :by WHERE k = :key",
      list: "SELECT k, v FROM t",
    },
  ],
];
for (const [what, options] of right)
  test(`right: ${what}`, () => {
    assert.deepEqual(faultsOf(SQL, options), []);
  });

const without = (options: Readonly<Record<string, string>>, key: string): RawOptions =>
  Object.fromEntries(Object.entries(options).filter(([name]) => name !== key));

const faults: readonly [options: RawOptions, message: string][] = [
  [without(sqlite, "driver"), '"driver" is missing'],
  [without(sqlite, "get"), '"get" is missing'],
  [without(sqlite, "file"), '"file" is missing: the path of the database'],
  [{ ...sqlite, file: "mail.db" }, 'file: expected an absolute path, got "mail.db"'],
  [{ ...sqlite, address: "a:1" }, '"address" means nothing for sqlite: there is no server'],
  [{ ...sqlite, password: "secret" }, '"password" means nothing for sqlite: there is no server'],
  [{ ...sqlite, pool: "3" }, '"pool" means nothing for sqlite: there is no server'],
  [{ ...sqlite, tls: "yes" }, '"tls" means nothing for sqlite: there is no server'],
  [without(server, "address"), '"address" is missing: where postgres listens'],
  [without(server, "database"), '"database" is missing: its name on the server'],
  [without(server, "user"), '"user" is missing: who asks postgres'],
  [{ ...server, file: "/x" }, '"file" is for sqlite: postgres has an "address"'],
  [{ ...server, address: "unix:/run/x", tls: "true" }, '"tls" is for TCP: a unix socket does not leave the machine'],
  [
    { ...server, driver: "mysql", address: "10.0.0.1:3306", tls: "true" },
    '"tls" wants the server\'s name in "address": mysql certificates are not checked for IP addresses',
  ],
  [
    { ...server, driver: "postgresql" },
    'driver: expected sqlite or postgres or mysql or mariadb, got "postgresql"; did you mean "postgres"?',
  ],
  [
    { ...sqlite, get: "SELECT v FROM t" },
    '"get": :key or :localpart or :domain must stand in the query, and not in quotes',
  ],
  [
    { ...sqlite, get: "SELECT v FROM t WHERE k = ':key'" },
    '"get": :key or :localpart or :domain must stand in the query, and not in quotes',
  ],
  [
    { ...sqlite, get: `${GET} AND w = :value` },
    '"get": there is no placeholder ":value" here: known are :key, :localpart, :domain',
  ],
  [{ ...sqlite, set: "INSERT INTO t (k) VALUES (:key)" }, '"set": :value must stand in the query, and not in quotes'],
  [
    { ...sqlite, increment: "UPDATE t SET v = v + 1 WHERE k = :key" },
    '"increment": :by must stand in the query, and not in quotes',
  ],
  [
    { ...sqlite, list: "SELECT k FROM t WHERE k = :key" },
    '"list": there is no placeholder ":key" here: known are :prefix',
  ],
  [
    { ...server, get: "SELECT v FROM t WHERE k = $1" },
    '"get": "$1" gets no value: write :key, :localpart, :domain where a value belongs',
  ],
];
for (const [options, message] of faults)
  test(`not right: ${message}`, () => {
    assert.deepEqual(faultsOf(SQL, options), [message]);
  });

test("a fault never repeats the password", () => {
  const [fault = ""] = faultsOf(SQL, { ...server, password: "geheim", address: "db" });
  assert.ok(fault !== "" && !fault.includes("geheim"), fault);
});
