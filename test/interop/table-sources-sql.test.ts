import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { SQL } from "../../src/tables/sql/sql-table.ts";
import { MARIADB_PACKAGES } from "../support/mariadb.ts";
import { openType } from "../support/open-type.ts";
import type { OpenedType, RawOptions } from "../support/open-type.ts";
import { POSTGRES_PACKAGES } from "../support/postgres.ts";
import { GUARD } from "../support/table-contract-parts.ts";
import { testTableContract } from "../support/table-contract.ts";
import { until } from "../support/until.ts";
import { whyNot } from "./servers.ts";
import { startMariadbSubject, startPostgresSubject } from "./sql-subjects.ts";
import type { SqlSubject } from "./sql-subjects.ts";

const skip = await whyNot([...POSTGRES_PACKAGES, ...MARIADB_PACKAGES]);

interface Driver {
  readonly name: string;
  /** Where a reason comes from. */
  readonly kind: string;
  readonly startSubject: () => Promise<SqlSubject>;
  readonly isHeld: (text: string) => boolean;
  readonly sleep: string;
  readonly setWithExpiry: string;
  /** What stands before a column's new type, and for the user who asks. */
  readonly alterType: string;
  readonly grantee: string;
  /** Expressions and their texts. */
  readonly values: readonly (readonly [expression: string, text: string])[];
}

const drivers: readonly Driver[] = [
  {
    name: "postgres",
    kind: "postgres",
    startSubject: startPostgresSubject,
    isHeld: (text) => text.isWellFormed() && !text.includes("\0"),
    sleep: "pg_sleep(60)",
    setWithExpiry: "INSERT INTO t VALUES (:key, coalesce(:expire_seconds::int::text, :value))",
    alterType: "ALTER u TYPE",
    grantee: "mailshunt",
    values: [
      ["9223372036854775807", "9223372036854775807"],
      ["1.50", "1.50"],
      ["0.1::float8", "0.1"],
      ["true", "true"],
      ["1 = 2", "false"],
      [`'{"a": [1, null]}'::json`, '{"a": [1, null]}'],
      [`'{"a":1}'::jsonb`, '{"a": 1}'],
      ["'2026-01-31'::date", "2026-01-31"],
      ["'2026-01-31 01:02:03.5+00'::timestamptz AT TIME ZONE 'UTC'", "2026-01-31 01:02:03.5"],
      ["'\\xff00'::bytea", "\udcff\0"],
      ["ARRAY['a','b']", "{a,b}"],
      ["''", ""],
    ],
  },
  {
    name: "mariadb",
    kind: "mysql",
    startSubject: startMariadbSubject,
    isHeld: () => true,
    sleep: "sleep(60)",
    setWithExpiry: "INSERT INTO t VALUES (:key, coalesce(:expire_seconds, :value))",
    alterType: "MODIFY u",
    grantee: "mailshunt@localhost",
    values: [
      ["9223372036854775807", "9223372036854775807"],
      ["18446744073709551615", "18446744073709551615"],
      ["1.50", "1.50"],
      ["1e-1", "0.1"],
      ["true", "1"],
      [`json_object('a', 1)`, '{"a": 1}'],
      ["CAST('2026-01-31' AS date)", "2026-01-31"],
      ["CAST('2026-01-31 01:02:03' AS datetime)", "2026-01-31 01:02:03"],
      ["CAST('01:02:03' AS time)", "01:02:03"],
      ["x'ff00'", "\udcff\0"],
      ["'müller'", "müller"],
      ["''", ""],
    ],
  },
];

for (const { name, kind, startSubject, isHeld, sleep, setWithExpiry, alterType, grantee, values } of drivers)
  describe(name, { skip }, () => {
    let subject: SqlSubject;
    let isDown = false;
    before(async () => {
      subject = await startSubject();
    });
    after(() => subject?.stop());

    const kill = async (): Promise<void> => {
      await subject.kill();
      isDown = true;
    };
    const repair = async (): Promise<void> => {
      if (isDown) await subject.start();
      isDown = false;
    };
    const open = (t: TestContext, options: RawOptions, base: RawOptions = subject.options): OpenedType => {
      const opened = openType(SQL, { ...base, ...options }, { guard: GUARD });
      t.after(() => opened.table.close());
      return opened;
    };

    testTableContract({
      name,
      type: SQL,
      async start(t, entries) {
        t.after(repair);
        await subject.replaceEntries(entries);
        return { options: { ...subject.options, ...subject.queries }, break: kill, repair };
      },
      // Longer keys cannot be indexed.
      holdsKeys: (key) => isHeld(key) && key.length < 3_000,
      holdsValues: isHeld,
      writes: true,
      increments: true,
      lists: true,
    });

    test("a wrong password is failed, and stands in no reason", async (t) => {
      for (const wrong of ["wrong-secret", undefined]) {
        const { password: _right, ...rest } = subject.options;
        const base = wrong === undefined ? rest : { ...rest, password: wrong };
        const answer = await open(t, subject.queries, base).table.lookup("a");
        assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
        assert.match(answer.reason, /password/i);
        assert.ok(answer.reason.startsWith(`${kind} at unix:/`), answer.reason);
        assert.ok(!answer.reason.includes("wrong-secret"), answer.reason);
      }
    });

    test("what is wrong with a query is said, and only the key has failed", async (t) => {
      for (const get of [
        "SELECT v FROM missing WHERE k = :key",
        "SELEKT :key",
        "SELECT nothing FROM t WHERE k = :key",
      ]) {
        const answer = await open(t, { get }).table.lookup("a");
        assert.ok(answer.kind === "failed" && answer.scope === undefined, JSON.stringify(answer));
        assert.match(answer.reason, /missing|syntax|nothing/);
      }
    });

    test("the first lookup after a restart is found", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const { table } = open(t, subject.queries);
      const lookups = Array.from({ length: 10 }, async () => table.lookup("a"));
      for (const answer of await Promise.all(lookups)) assert.deepEqual(answer, { kind: "found", value: "1" });
      t.after(repair);
      await kill();
      await repair();
      assert.deepEqual(await table.lookup("a"), { kind: "found", value: "1" });
    });

    test("nothing is absent or wrong while the server goes and comes", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const { table } = open(t, subject.queries);
      t.after(repair);
      let isOver = false;
      const counts = { found: 0, failed: 0 };
      const asking = Array.from({ length: 5 }, async () => {
        while (!isOver) {
          const answer = await table.lookup("a");
          assert.notEqual(answer.kind, "absent");
          if (answer.kind === "found") assert.equal(answer.value, "1");
          counts[answer.kind === "found" ? "found" : "failed"] += 1;
          await new Promise(setImmediate);
        }
      });
      for (let round = 0; round < 2; round += 1) {
        await kill();
        await until("a lookup has failed", () => (counts.failed > 0 ? true : undefined));
        await repair();
        counts.found = 0;
        await until("a lookup is answered again", () => (counts.found > 0 ? true : undefined));
        counts.failed = 0;
      }
      isOver = true;
      await Promise.all(asking);
    });

    test("a query that takes too long is given up, and the next one has a connection", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const get = `SELECT v FROM t WHERE k = 'a' AND (:key <> 'slow' OR ${sleep} IS NOT NULL)`;
      const { source } = open(t, { get, pool: "1" });
      const aborter = new AbortController();
      const slow = Promise.resolve(source.lookup("slow", aborter.signal));
      const waiting = Promise.resolve(source.lookup("a", new AbortController().signal));
      setTimeout(() => aborter.abort(new Error("no answer in time")), 100);
      const answer = await slow;
      assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
      assert.match(answer.reason, /no answer in time$/);
      assert.deepEqual(await waiting, { kind: "found", value: "1" });
    });

    test("TLS wants a certificate that can be trusted", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const { ca_file: _ca, ...untrusted } = subject.tcpOptions;
      const found = await open(t, subject.queries, subject.tcpOptions).table.lookup("a");
      assert.deepEqual(found, { kind: "found", value: "1" });
      const failed = await open(t, subject.queries, untrusted).table.lookup("a");
      assert.ok(failed.kind === "failed" && failed.scope === "source", JSON.stringify(failed));
      assert.match(failed.reason, /certificate|issuer/);
      // Another name of the same server, for which the certificate is not.
      const address = subject.tcpOptions["address"]?.replace("localhost", "127.1");
      const misnamed = await open(t, subject.queries, { ...subject.tcpOptions, address }).table.lookup("a");
      assert.ok(misnamed.kind === "failed" && misnamed.scope === "source", JSON.stringify(misnamed));
      assert.match(misnamed.reason, /altnames/);
    });

    test("no address of its own", async (t) => {
      const address = "127.0.0.1:1";
      const answer = await open(t, subject.queries, { ...subject.options, address }).table.lookup("a");
      const reason = `${kind} at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1`;
      assert.deepEqual(answer, { kind: "failed", reason, scope: "source" });
    });

    test("values of any type become text, several rows several values, and NULL none", async (t) => {
      for (const [expression, want] of values) {
        const get = `SELECT ${expression} AS v FROM (SELECT :key AS k) AS x`;
        assert.deepEqual(await open(t, { get }).table.lookup("a"), { kind: "found", value: want }, expression);
      }
      const get = "SELECT 1 AS n WHERE :key = 'a' UNION ALL SELECT NULL UNION ALL SELECT 2 ORDER BY n DESC";
      const several = { kind: "found", value: "2,1", values: ["2", "1"] };
      assert.deepEqual(await open(t, { get }).table.lookup("a"), several);
      const none = "SELECT NULL FROM (SELECT :key AS k) AS x";
      assert.deepEqual(await open(t, { get: none }).table.lookup("a"), { kind: "absent" });
    });

    test("too many rows are failed, and the next lookup is not", async (t) => {
      await subject.replaceEntries(new Map(Array.from({ length: 101 }, (_, number) => [`k${number}`, ""])));
      const { table } = open(t, {
        get: "SELECT a.k FROM t AS a, t AS b WHERE :key = 'many' OR a.k = 'k1' AND b.k = 'k1'",
      });
      const answer = await table.lookup("many");
      assert.ok(answer.kind === "failed" && answer.scope === undefined);
      assert.match(answer.reason, /the query gives more than 10000 rows$/);
      assert.deepEqual(await table.lookup("one"), { kind: "found", value: "k1" });
    });

    test("what refuses in the middle takes back what came before it", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const { table } = open(t, { ...subject.queries, set: "INSERT INTO t VALUES (:key, :value)" });
      const set = (key: string) => ({ kind: "set", key, value: "2" }) as const;
      const outcome = await table.write?.([set("b"), set("a")]);
      assert.ok(outcome?.kind === "failed", JSON.stringify(outcome));
      assert.match(outcome.reason, /duplicate/i);
      assert.deepEqual(await table.lookup("b"), { kind: "absent" });
      assert.deepEqual(await table.write?.([set("b")]), { kind: "done" });
    });

    test("a write that wrote nothing is not done", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const { table } = open(t, { ...subject.queries, set: "UPDATE t SET v = :value WHERE k = :key" });
      const outcome = await table.write?.([{ kind: "set", key: "b", value: "2" }]);
      assert.ok(outcome?.kind === "failed");
      assert.match(outcome.reason, /the query "set" wrote no row$/);
      // The same value again is written as well.
      assert.deepEqual(await table.write?.([{ kind: "set", key: "a", value: "1" }]), { kind: "done" });
    });

    test("a value that is set may expire where the query says so", async (t) => {
      await subject.replaceEntries(new Map());
      const { table } = open(t, { ...subject.queries, set: setWithExpiry });
      const set = { kind: "set", key: "a", value: "x" } as const;
      assert.deepEqual(await table.write?.([{ ...set, expireSeconds: 60 }]), { kind: "done" });
      assert.deepEqual(await table.lookup("a"), { kind: "found", value: "60" });
    });

    test("a column that changes its type is read on", async (t) => {
      await subject.replaceEntries(new Map([["a", "1"]]));
      const { table } = open(t, { get: "SELECT * FROM u WHERE u = :key" });
      await subject.run("CREATE TABLE u (u varchar(10)); INSERT INTO u VALUES ('1'); GRANT SELECT ON u TO " + grantee);
      assert.deepEqual(await table.lookup("1"), { kind: "found", value: "1" });
      await subject.run("ALTER TABLE u ALTER u TYPE text".replace("ALTER u TYPE", alterType));
      assert.deepEqual(await table.lookup("1"), { kind: "found", value: "1" });
      await subject.run("DROP TABLE u");
    });
  });
