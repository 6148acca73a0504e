import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { PackedTableBuilder } from "../../packed/packed-table-builder.ts";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { testTableContract } from "../../../test/support/table-contract.ts";
import { TABLE_TYPES } from "../registry.ts";
import type { Table } from "../table.ts";
import { openTables } from "../open-tables.ts";
import { STATIC } from "./static-table.ts";

testTableContract({
  name: "static",
  type: STATIC,
  start(_t, entries) {
    const builder = new PackedTableBuilder();
    for (const [key, value] of entries) builder.add(key, value);
    return { options: { entries: builder } };
  },
  holdsKeys: (key) => key.isWellFormed(),
  holdsValues: (value) => value.isWellFormed(),
  neverBreaks: true,
  answersAtOnce: true,
  lists: true,
});

function open(entries: Readonly<Record<string, string>>): Table {
  const builder = new PackedTableBuilder();
  for (const [key, value] of Object.entries(entries)) builder.add(key, value);
  const type = TABLE_TYPES.get("static");
  assert.ok(type);
  const settings = type.toSettings(v.parse(type.schema, new Map([["entries", builder]])));
  const configured = new Map([["users", { type: "static", ...structuredClone(settings) }]]);
  const table = openTables(configured, { clock: createFakeClock(), say: () => assert.fail() }).exact.get("users");
  assert.ok(table);
  return table;
}

test("a static table answers exactly the key it is given", () => {
  const table = open({ User1: "old" });
  assert.equal(table.name, "users");
  assert.equal(table.entryCount, 1);
  assert.deepEqual(table.lookup("User1"), { kind: "found", value: "old" });
  assert.deepEqual(table.lookup("user1"), { kind: "absent" });
  assert.deepEqual(table.lookup("User1+x"), { kind: "absent" });
});

test("a byte that is no UTF-8 is not the character that stands for such bytes", () => {
  assert.deepEqual(open({ "\ufffd": "old" }).lookup("\udcff"), { kind: "absent" });
});

test("it lists its entries by the beginning of their keys", async () => {
  const pages = open({ "a/1": "x", "a/2": "y", b: "z" }).list?.("a/");
  assert.deepEqual(await Array.fromAsync(pages ?? []), [
    [
      { key: "a/1", value: "x" },
      { key: "a/2", value: "y" },
    ],
  ]);
});

test("its entries may be none, but not something else", () => {
  const type = TABLE_TYPES.get("static");
  assert.ok(type);
  assert.equal(v.safeParse(type.schema, new Map([["entries", null]])).success, true);
  assert.equal(v.safeParse(type.schema, new Map([["entries", "old"]])).success, false);
  assert.equal(v.safeParse(type.schema, new Map()).success, false);
});
