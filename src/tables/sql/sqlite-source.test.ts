import assert from "node:assert/strict";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { openType } from "../../../test/support/open-type.ts";
import type { OpenedType, OpenTypeOptions, RawOptions } from "../../../test/support/open-type.ts";
import { scratchFolder } from "../../../test/support/scratch-folder.ts";
import { listAll } from "../../../test/support/table-contract-lists.ts";
import { testTableContract } from "../../../test/support/table-contract.ts";
import { SQL } from "./sql-table.ts";
import { encodeText } from "../../wire/text.ts";

const GET = "SELECT v FROM t WHERE k = :key";
const QUERIES = {
  get: GET,
  set: "INSERT INTO t VALUES (:key, :value) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
  unset: "DELETE FROM t WHERE k = :key",
  // SQLite counts what is no number as 0: where that must not be, json() refuses it.
  increment: `UPDATE t SET v = CAST(v AS INTEGER) + :by
    WHERE k = :key AND CASE WHEN v GLOB '*[^0-9-]*' THEN json('no number') ELSE 1 END`,
  list: "SELECT k, v FROM t WHERE substr(k, 1, length(:prefix)) = :prefix",
};

/** Both columns take text and bytes. */
function makeDatabase(path: string, entries: ReadonlyMap<string, string> = new Map()): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA synchronous = OFF; CREATE TABLE t (k PRIMARY KEY, v); BEGIN");
  const insert = database.prepare("INSERT INTO t VALUES (?, ?)");
  const asIs = (text: string): string | Buffer => (text.isWellFormed() ? text : encodeText(text));
  for (const [key, value] of entries) insert.run(asIs(key), asIs(value));
  database.exec("COMMIT");
  return database;
}

testTableContract({
  name: "sqlite",
  type: SQL,
  start(t, entries) {
    const file = join(scratchFolder(t), "mail.db");
    const database = makeDatabase(file, entries);
    t.after(() => database.close());
    return {
      options: { driver: "sqlite", file, ...QUERIES },
      break: () => database.exec("BEGIN EXCLUSIVE"),
      repair: () => database.exec("ROLLBACK"),
    };
  },
  holdsKeys: () => true,
  holdsValues: () => true,
  answersAtOnce: true,
  writes: true,
  increments: true,
  lists: true,
});

/** A source whose clock stands still until it is turned. */
function open(
  t: TestContext,
  options: RawOptions,
  given: OpenTypeOptions = {},
): OpenedType & { readonly path: string; readonly clock: ReturnType<typeof createFakeClock> } {
  const path = join(scratchFolder(t), "mail.db");
  const clock = createFakeClock();
  const opened = openType(SQL, { driver: "sqlite", file: path, get: GET, ...options }, { clock, ...given });
  t.after(() => opened.table.close());
  return { ...opened, path, clock };
}

const never = new AbortController().signal;

test("a missing file is failed, is not made, and is opened when it appears", (t) => {
  for (const options of [{}, { set: QUERIES.set }]) {
    const { path, source } = open(t, options);
    const failed = { kind: "failed", reason: `sqlite ${path}: there is no such file`, scope: "source" };
    assert.deepEqual(source.lookup("a", never), failed);
    assert.equal(existsSync(path), false);
    makeDatabase(path, new Map([["a", "1"]])).close();
    assert.deepEqual(source.lookup("a", never), { kind: "found", value: "1" });
  }
});

test("a file in place of another is opened within a second, and one that went is failed", (t) => {
  const { path, source, clock } = open(t, {});
  makeDatabase(path, new Map([["a", "1"]])).close();
  makeDatabase(`${path}.new`, new Map([["a", "2"]])).close();
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "1" });
  renameSync(`${path}.new`, path);
  clock.advance(999);
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "1" });
  clock.advance(1);
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "2" });
  rmSync(path);
  clock.advance(1_000);
  const failed = { kind: "failed", reason: `sqlite ${path}: there is no such file`, scope: "source" };
  assert.deepEqual(source.lookup("a", never), failed);
});

test("what another process writes is seen at once", (t) => {
  const { path, source } = open(t, {});
  const database = makeDatabase(path);
  t.after(() => database.close());
  assert.deepEqual(source.lookup("a", never), { kind: "absent" });
  database.exec("INSERT INTO t VALUES ('a', 1)");
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "1" });
});

const reasons: readonly [what: string, make: (path: string) => void, reason: RegExp, scope: "source" | undefined][] = [
  [
    "is no database",
    (path) => writeFileSync(path, "not a database, but long enough"),
    /file is not a database$/,
    "source",
  ],
  ["is empty", (path) => writeFileSync(path, ""), /no such table: t$/, undefined],
  ["has no such column", (path) => new DatabaseSync(path).exec("CREATE TABLE t (k)"), /no such column: v$/, undefined],
];
for (const [what, make, reason, scope] of reasons)
  test(`a file that ${what} is failed`, (t) => {
    const { path, source } = open(t, {});
    make(path);
    const answer = source.lookup("a", never);
    assert.ok(!(answer instanceof Promise) && answer.kind === "failed");
    assert.match(answer.reason, reason);
    assert.equal(answer.scope, scope);
  });

test("a directory is no database", (t) => {
  const { source } = open(t, { file: "/tmp" });
  assert.deepEqual(source.lookup("a", never), {
    kind: "failed",
    reason: "sqlite /tmp: it is not a file",
    scope: "source",
  });
});

test("values of any type become text, several rows several values, and NULL none", (t) => {
  const { path, source } = open(t, { get: "SELECT v FROM t WHERE k LIKE :key ORDER BY k" });
  const database = makeDatabase(path);
  t.after(() => database.close());
  database.exec(
    "INSERT INTO t VALUES ('a1', 9223372036854775807), ('a2', 1.5), ('a3', NULL), ('a4', x'ff00'), ('a5', ''), ('b', NULL)",
  );
  const values = ["9223372036854775807", "1.5", "\udcff\0", ""];
  assert.deepEqual(source.lookup("a_", never), { kind: "found", value: values.join(","), values });
  assert.deepEqual(source.lookup("b", never), { kind: "absent" });
});

test("a query that forgot its WHERE is failed", (t) => {
  const { path, source } = open(t, { get: "SELECT :key FROM t AS a, t AS b" });
  makeDatabase(path, new Map(Array.from({ length: 101 }, (_, number) => [`k${number}`, ""]))).close();
  assert.deepEqual(source.lookup("a", never), {
    kind: "failed",
    reason: `sqlite ${path}: the query gives more than 10000 rows`,
  });
});

test("a local part and a domain are asked for each by itself", (t) => {
  const { path, source } = open(t, { get: "SELECT :localpart || '|' || :domain || '|' || v FROM t" });
  makeDatabase(path, new Map([["a", "x"]])).close();
  assert.deepEqual(source.lookup("a@b@c", never), { kind: "found", value: "a@b|c|x" });
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "a|a|x" });
});

test("a table without a query for it does not write", async (t) => {
  const { path, source } = open(t, { unset: QUERIES.unset });
  makeDatabase(path, new Map([["a", "1"]])).close();
  assert.deepEqual(
    await source.write?.(
      [
        { kind: "unset", key: "a" },
        { kind: "set", key: "b", value: "1" },
      ],
      never,
    ),
    {
      kind: "failed",
      reason: 'the table has no query "set"',
    },
  );
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "1" });
});

test("a write that wrote nothing is not done", async (t) => {
  const { path, source } = open(t, { set: "UPDATE t SET v = :value WHERE k = :key" });
  makeDatabase(path, new Map([["a", "1"]])).close();
  const failed = { kind: "failed", reason: 'the query "set" wrote no row' };
  const set = (key: string) => ({ kind: "set", key, value: "2" }) as const;
  assert.deepEqual(await source.write?.([set("a"), set("b")], never), failed);
  assert.deepEqual(source.lookup("a", never), { kind: "found", value: "1" });
  assert.deepEqual(await source.write?.([set("a")], never), { kind: "done" });
});

test("what refuses in the middle takes back what came before it", async (t) => {
  const { path, source } = open(t, { set: "INSERT INTO t VALUES (:key, :value)" });
  makeDatabase(path, new Map([["a", "1"]])).close();
  const set = (key: string) => ({ kind: "set", key, value: "2" }) as const;
  assert.deepEqual(await source.write?.([set("b"), set("a")], never), {
    kind: "failed",
    reason: `sqlite ${path}: UNIQUE constraint failed: t.k`,
  });
  assert.deepEqual(source.lookup("b", never), { kind: "absent" });
});

test("an expiry needs a query that takes it", async (t) => {
  const change = { kind: "set", key: "a", value: "1", expireSeconds: 60 } as const;
  const { path, source } = open(t, { set: QUERIES.set });
  makeDatabase(path).close();
  assert.deepEqual(await source.write?.([change], never), {
    kind: "failed",
    reason: 'the query "set" has no :expire_seconds: what it writes would never expire',
  });
  const other = open(t, { set: "INSERT INTO t VALUES (:key, :value || ' for ' || coalesce(:expire_seconds, 'ever'))" });
  makeDatabase(other.path).close();
  assert.deepEqual(await other.source.write?.([change, { kind: "set", key: "b", value: "2" }], never), {
    kind: "done",
  });
  assert.deepEqual(other.source.lookup("a", never), { kind: "found", value: "1 for 60" });
  assert.deepEqual(other.source.lookup("b", never), { kind: "found", value: "2 for ever" });
});

test("a write waits for another process's transaction, and gives up when nobody waits", async (t) => {
  const { path, source, clock } = open(t, { set: QUERIES.set });
  const database = makeDatabase(path);
  t.after(() => database.close());
  const change = { kind: "set", key: "a", value: "1" } as const;
  database.exec("BEGIN IMMEDIATE");
  const waiting = source.write?.([change], never);
  assert.equal(clock.pendingTimers, 1);
  database.exec("COMMIT");
  clock.advance(25);
  assert.deepEqual(await waiting, { kind: "done" });
  database.exec("BEGIN IMMEDIATE");
  const aborter = new AbortController();
  const givenUp = source.write?.([change], aborter.signal);
  aborter.abort();
  clock.advance(25);
  assert.deepEqual(await givenUp, {
    kind: "failed",
    reason: `sqlite ${path}: database is locked: another process is writing`,
  });
});

test("a list of keys alone has no values, and drops what does not begin with the prefix", async (t) => {
  const { path, table } = open(t, { list: "SELECT k FROM t WHERE k LIKE :prefix || '%' ORDER BY k" });
  makeDatabase(
    path,
    new Map([
      ["a%", "1"],
      ["a%b", "2"],
      ["ab", "3"],
      ["A%", "4"],
    ]),
  ).close();
  assert.deepEqual(await listAll(table, "a%"), [
    ["a%", undefined],
    ["a%b", undefined],
  ]);
});

test("a database opened to be read cannot be written by a query", (t) => {
  const { path, source } = open(t, { get: "DELETE FROM t WHERE k = :key RETURNING v" });
  makeDatabase(path, new Map([["a", "1"]])).close();
  const answer = source.lookup("a", never);
  assert.ok(!(answer instanceof Promise) && answer.kind === "failed");
  assert.match(answer.reason, /attempt to write a readonly database$/);
});
