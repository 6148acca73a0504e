import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseQuery } from "./query.ts";
import type { Placeholder, SqlDialect } from "./query.ts";

const KNOWN: readonly Placeholder[] = ["key", "localpart", "value"];
const ALL: readonly SqlDialect[] = ["sqlite", "postgres", "mysql"];

interface Case {
  readonly dialects: readonly SqlDialect[];
  readonly query: string;
  readonly sql: string;
  readonly parameters: readonly Placeholder[];
}

/** The same with `?` in place of `$1`, `$2`, …. */
const both = (query: string, sql: string, ...parameters: Placeholder[]): Case[] => [
  { dialects: ["sqlite", "mysql"], query, sql, parameters },
  { dialects: ["postgres"], query, sql: numbered(sql), parameters },
];
const only = (dialect: SqlDialect, query: string, sql: string, ...parameters: Placeholder[]): Case[] => [
  { dialects: [dialect], query, sql, parameters },
];
const unchanged = (dialects: readonly SqlDialect[], query: string): Case[] => [
  { dialects, query, sql: query, parameters: [] },
];

function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll("?", () => `$${(count += 1)}`);
}

const cases: readonly Case[] = [
  ...both("SELECT v FROM t WHERE k = :key", "SELECT v FROM t WHERE k = ?", "key"),
  ...both("VALUES(:key,:value,:key)", "VALUES(?,?,?)", "key", "value", "key"),
  ...both("k=:key -- :value\n AND x=:value", "k=? -- :value\n AND x=?", "key", "value"),
  ...both("/* :value ' */ :key", "/* :value ' */ ?", "key"),
  ...unchanged(ALL, "SELECT ':key', 'it''s :key', \"a \"\"b :key\""),
  ...unchanged(["sqlite", "mysql"], "SELECT `a :key``b`"),
  ...unchanged(["sqlite"], "SELECT [a :key] FROM t"),
  ...unchanged(["sqlite"], "SELECT 1 /* :key to the end"),
  ...only("postgres", "SELECT a[:key], '{}'::text[]", "SELECT a[$1], '{}'::text[]", "key"),
  ...only("postgres", "SELECT :key::text, v::jsonb->>'a'", "SELECT $1::text, v::jsonb->>'a'", "key"),
  ...unchanged(["postgres"], "SELECT $$ :key ' $$, $a$ :key $$ :key $a$"),
  ...unchanged(["postgres"], "SELECT E'\\' :key', e'\\\\', 'C:\\'"),
  ...only("postgres", "SELECT 'C:\\', :key", "SELECT 'C:\\', $1", "key"),
  ...only("postgres", "SELECT date'2020-01-01', :key", "SELECT date'2020-01-01', $1", "key"),
  ...only("postgres", "/* a /* :key */ ' */ :key", "/* a /* :key */ ' */ $1", "key"),
  ...only("postgres", "SELECT v ? 'a' AND f(x := :key)", "SELECT v ? 'a' AND f(x := $1)", "key"),
  ...unchanged(["mysql"], "SELECT 'it\\'s :key', \"\\\" :key\""),
  ...unchanged(["mysql"], "SELECT 1 # :key"),
  ...unchanged(["mysql"], "SELECT @a:=1, '10:30', '$.a'"),
  ...only("mysql", "SELECT 5--:key", "SELECT 5--?", "key"),
  ...only("mysql", "SELECT 5 --\t:value\n:key", "SELECT 5 --\t:value\n?", "key"),
];

for (const { dialects, query, sql, parameters } of cases)
  for (const dialect of dialects)
    test(`${dialect}: ${query}`, () => {
      assert.deepEqual(parseQuery(query, dialect, KNOWN), { kind: "ok", value: { sql, parameters } });
    });

const faults: readonly [dialects: readonly SqlDialect[], query: string, reason: string][] = [
  [ALL, "k = :kye", 'there is no placeholder ":kye" here: known are :key, :localpart, :value; did you mean "key"?'],
  [ALL, "k = :password", 'there is no placeholder ":password" here: known are :key, :localpart, :value'],
  [ALL, "k = 'a", "what begins with 'a is never closed"],
  [ALL, 'k = "a', 'what begins with "a is never closed'],
  [["postgres", "mysql"], "k /* a longer comment that", "what begins with /* a longer comment … is never closed"],
  [["postgres"], "/* a /* b */ ", "what begins with /* a /* b */  is never closed"],
  [["postgres"], "k = $1", '"$1" gets no value: write :key, :localpart, :value where a value belongs'],
  [["mysql"], "k = ?", '"?" gets no value: write :key, :localpart, :value where a value belongs'],
  [["sqlite"], "k = ?1", '"?1" gets no value: write :key, :localpart, :value where a value belongs'],
  [["sqlite"], "k = @key", '"@key" gets no value: write :key, :localpart, :value where a value belongs'],
  [["sqlite"], "k = $key", '"$key" gets no value: write :key, :localpart, :value where a value belongs'],
];

for (const [dialects, query, reason] of faults)
  for (const dialect of dialects)
    test(`${dialect}: not ${query}`, () => {
      assert.deepEqual(parseQuery(query, dialect, KNOWN), { kind: "bad", reason });
    });

test("what stands in quotes is never touched, whatever it is", () => {
  fc.assert(
    fc.property(fc.constantFrom(...ALL), fc.string({ unit: "grapheme" }), (dialect, text) => {
      const inside = text.replaceAll("\\", "").replaceAll("'", "''");
      const query = `SELECT '${inside}' WHERE k = :key`;
      const sql = `SELECT '${inside}' WHERE k = ${dialect === "postgres" ? "$1" : "?"}`;
      assert.deepEqual(parseQuery(query, dialect, KNOWN), { kind: "ok", value: { sql, parameters: ["key"] } });
    }),
  );
});
