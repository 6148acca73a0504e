import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { PackedTableBuilder } from "./packed-table-builder.ts";
import { TABLE_TYPES } from "./registry.ts";
import { openStaticTable, staticTableSchema } from "./static-table.ts";

test("a static table answers exactly the key it is given", () => {
  const builder = new PackedTableBuilder();
  builder.add("User1", "old");
  const table = openStaticTable("users", { packed: builder.finish() });
  assert.equal(table.name, "users");
  assert.deepEqual(table.lookup("User1"), { kind: "found", value: "old" });
  assert.deepEqual(table.lookup("user1"), { kind: "absent" });
  assert.deepEqual(table.lookup("User1+x"), { kind: "absent" });
});

test("its entries may be none, but not something else", () => {
  assert.equal(v.safeParse(staticTableSchema, new Map([["entries", null]])).success, true);
  assert.equal(v.safeParse(staticTableSchema, new Map([["entries", "old"]])).success, false);
  assert.equal(v.safeParse(staticTableSchema, new Map()).success, false);
});

test("the registry leads from options to a table that answers", () => {
  const builder = new PackedTableBuilder();
  builder.add("user1", "old");
  const type = TABLE_TYPES.get("static");
  assert.ok(type);
  const section = v.parse(type.schema, new Map([["entries", builder]]));
  const table = type.open("users", structuredClone(type.toOptions(section)));
  assert.deepEqual(table.lookup("user1"), { kind: "found", value: "old" });
});
