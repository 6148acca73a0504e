import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { composeYaml } from "./compose.ts";
import type { Composed } from "./compose.ts";
import { liftTables } from "./lift.ts";
import type { YamlNode } from "./node.ts";
import { isTablePath } from "./tables.ts";

/** Everything about the result that anyone can see. */
function describe({ root, faults, duplicates }: Composed): unknown {
  return { root: root === undefined ? undefined : describeTree(root), faults, duplicates };
}

function describeTree(node: YamlNode): unknown {
  switch (node.kind) {
    case "scalar":
      return node;
    case "sequence":
      return { ...node, items: node.items.map(describeTree) };
    case "mapping":
      return {
        ...node,
        entries: [...node.entries].map(([key, { keyOffset, value }]) => [key, keyOffset, describeTree(value)]),
      };
    case "bulk": {
      const entries = Array.from({ length: node.table.keyCount }, (_, entry) => [
        node.table.keyAt(entry),
        node.table.valueAt(entry),
        node.valueOffsets.at(entry),
      ]);
      return { kind: node.kind, offset: node.offset, entries };
    }
  }
}

/** A table reads the same by hand, from its first line on, as through the YAML parser. */
function assertSame(text: string): void {
  const byHand = describe(composeYaml(text, isTablePath, 1));
  const byParser = describe(composeYaml(text, isTablePath, Number.POSITIVE_INFINITY));
  assert.deepEqual(byHand, byParser);
}

const oddLines = fc.constantFrom(
  "  a: b",
  "  a: c",
  '  "user 1": x',
  "  'it: s': x",
  "  x@y.example+z: b",
  "  a : b",
  "  no: 0660",
  "  a: b # c",
  "  # comment",
  "",
  "   ",
  "    deeper: x",
  "  a: b c",
  "  a:",
  "  a: [b]",
  "  a: { b: c }",
  "  <<: *x",
  "  a: &x b",
  "  a: *x",
  '  "a\\x41": b',
  "  a: 'it''s'",
  "  - a",
  "  a: |",
  "  ? a",
  "a: b",
  "users:",
  "users: # c",
  "users: {}",
  "entries:",
  "  entries:",
  "    a: b",
  "tables:",
  "  t:",
  "    type: static",
  "    entries:",
  "      a: b",
  "      a: c",
  "\t",
  "  a:\tb",
  "---",
  "...",
  "{",
  "}",
  '"',
  "x: |",
  "x: >",
  "  é: ü",
  "  a#b: c#d",
  "  a: b#c #d",
  "  o'neil: x",
  "  a:b: c",
  "  -a: b",
  "  a: -b",
  "  a: !b c",
  "%",
);

test("text of any lines reads the same by hand as through the parser", () => {
  fc.assert(
    fc.property(fc.array(oddLines, { maxLength: 12 }), fc.constantFrom("\n", "\r\n"), (lines, end) => {
      assertSame(lines.join(end));
      assertSame(`users:${end}${lines.join(end)}`);
      assertSame(`x: &x { a: b }${end}users:${end}${lines.join(end)}${end}y: z`);
    }),
    { numRuns: 3000 },
  );
});

const cases: readonly [string, string][] = [
  ["a table between other keys", "a: b\nusers:\n  u: x\n  v: y\n\n  # note\n  u: z\nc: d\n"],
  [
    "two tables",
    "tables:\n  s:\n    type: static\n    entries:\n      u: x\n  t:\n    entries:\n      v: y\n      w: z\nrouting:\n  key: k\n",
  ],
  ["a key in braces", "{\nusers:\n  u: x\n}\n"],
  ["lines of a block scalar", "note: |\n  users:\n    u: x\n  end\n"],
  ["lines of a quoted scalar", 'note: "\nusers:\n  u: x\n"\n'],
  ["a table at another place", "backends:\n  users:\n    u: x\n"],
  ["no line end at the end", "users:\n  u: x"],
];
for (const [name, text] of cases) test(`reads the same by hand: ${name}`, () => assertSame(text));

test("a run of simple lines is cut out, and only that", () => {
  const { text, runs, original } = liftTables("a: b\nusers: # all\n  u: x\n  v: y\nc: d\n", 2);
  assert.equal(text, "a: b\nusers: # all\nc: d\n");
  assert.deepEqual([...runs.keys()], [5]);
  assert.equal(original(text.indexOf("c:")), 32);
  assert.equal(original(5), 5);
});

test("one odd line keeps its run where it is", () => {
  const text = "users:\n  u: x\n  v: [y]\n";
  assert.equal(liftTables(text, 1).text, text);
});
