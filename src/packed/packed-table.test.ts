import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PackedTableBuilder } from "./packed-table-builder.ts";
import { openPacked } from "./packed-table.ts";

type Act = readonly [key: string, value: string, overwrite: boolean];

/** Keys of a few letters collide often; others are arbitrary, empty and beyond ASCII included. */
const key = fc.oneof(
  fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 3 }),
  fc.string({ unit: "grapheme" }),
);
const acts = fc.array(fc.tuple(key, fc.constantFrom("old", "new", "hold", "störe"), fc.boolean()), { maxLength: 300 });

function build(given: readonly Act[]): { packed: SharedArrayBuffer; expected: Map<string, string> } {
  const builder = new PackedTableBuilder();
  const expected = new Map<string, string>();
  for (const [name, value, overwrite] of given) {
    const { entry, isNew } = builder.add(name, value);
    assert.equal(isNew, !expected.has(name));
    if (!isNew && overwrite) builder.setValue(entry, value);
    if (isNew || overwrite) expected.set(name, value);
  }
  assert.equal(builder.keyCount, expected.size);
  return { packed: builder.finish(), expected };
}

test("a packed table answers as a Map does, in the same order", () => {
  fc.assert(
    fc.property(acts, fc.array(key), (given, others) => {
      const { packed, expected } = build(given);
      const table = openPacked(packed);
      assert.deepEqual([...table.entries()], [...expected]);
      for (const name of [...expected.keys(), ...others]) assert.equal(table.find(name), expected.get(name));
    }),
    { numRuns: 300 },
  );
});

test("keys with and without an at sign are counted once each, and the first of them known", () => {
  const some = fc.array(fc.constantFrom("a", "b", "c", "a@x", "b@x", "@", "é@", ""), { maxLength: 20 });
  fc.assert(
    fc.property(some, (names) => {
      const builder = new PackedTableBuilder();
      for (const name of names) builder.add(name, "old");
      const keys = [...new Set(names)];
      const kind = (hasAtSign: boolean): unknown => {
        const these = keys.filter((name) => name.includes("@") === hasAtSign);
        const [first] = these;
        return { count: these.length, first: first === undefined ? 0 : keys.indexOf(first) };
      };
      assert.deepEqual([builder.keysWithAtSign, builder.keysWithoutAtSign], [kind(true), kind(false)]);
    }),
    { numRuns: 500 },
  );
});

test("it keeps its answers past every growth", () => {
  const builder = new PackedTableBuilder();
  for (let user = 0; user < 20_000; user++) builder.add(`user${user}@example.com`, `store${user % 7}`);
  const table = openPacked(builder.finish());
  assert.equal(table.keyCount, 20_000);
  for (let user = 0; user < 20_000; user++) assert.equal(table.find(`user${user}@example.com`), `store${user % 7}`);
  assert.equal(table.find("user20000@example.com"), undefined);
});

test("it needs nothing but its buffer, which crosses to another thread without a copy", () => {
  const { packed } = build([["user", "old", false]]);
  const received = structuredClone(packed);
  assert.equal(openPacked(received).find("user"), "old");
});

test("keys longer than any address are found", () => {
  const long = "é".repeat(5000);
  const { packed } = build([[long, "old", false]]);
  assert.equal(openPacked(packed).find(long), "old");
  assert.equal(openPacked(packed).find(`${long}x`), undefined);
});

test("an empty table has nothing", () => {
  const table = openPacked(new PackedTableBuilder().finish());
  assert.equal(table.find(""), undefined);
  assert.deepEqual([...table.entries()], []);
});

test("as many values as keys are kept apart", () => {
  const builder = new PackedTableBuilder();
  for (let user = 0; user < 3000; user++) builder.add(`u${user}`, `v${user}`);
  const table = openPacked(builder.finish());
  for (let user = 0; user < 3000; user++) assert.equal(table.find(`u${user}`), `v${user}`);
});

test("a renamed value is renamed for every key, and joins one that was there", () => {
  const builder = new PackedTableBuilder();
  for (const [name, value] of [
    ["a", "reject"],
    ["b", "hold"],
    ["c", "old"],
    ["d", "reject"],
  ] as const)
    builder.add(name, value);
  builder.renameValue("reject", "hold");
  builder.renameValue("absent", "old");
  builder.add("e", "reject");
  assert.deepEqual(
    [...openPacked(builder.finish()).entries()],
    [
      ["a", "hold"],
      ["b", "hold"],
      ["c", "old"],
      ["d", "hold"],
      ["e", "reject"],
    ],
  );
});
