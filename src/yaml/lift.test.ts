import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { composeYaml } from "./compose.ts";
import type { Composed } from "./composer.ts";
import { liftTables } from "./lift.ts";
import type { YamlNode } from "./node.ts";
import { isTablePath } from "../config/pack-tables.ts";

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
  const byHand = describe(composeYaml(text, isTablePath, { minTableLines: 1, minPieceLines: 1 }));
  const byParser = describe(
    composeYaml(text, isTablePath, { minTableLines: Number.POSITIVE_INFINITY, minPieceLines: 1 }),
  );
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
    { numRuns: 10000 },
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

test("runs of simple lines are cut out, and only those", () => {
  const whole = "a: b\nusers: # all\n  u: x\n  v: y\n  w: [z]\n  x: y\nc: d\n";
  const { text, tables, original } = liftTables(whole, { minTableLines: 2, minPieceLines: 1 });
  assert.equal(text, "a: b\nusers: # all\n  w: [z]\nc: d\n");
  assert.deepEqual([...tables.keys()], [5]);
  for (const word of ["a:", "users", "w:", "c:"]) assert.equal(original(text.indexOf(word)), whole.indexOf(word));
});

test("short tables, and short runs, stay where they are", () => {
  const text = "users:\n  u: x\n  v: [y]\n  w: z\n";
  assert.equal(liftTables(text, { minTableLines: 3, minPieceLines: 1 }).text, text);
  assert.equal(liftTables(text, { minTableLines: 1, minPieceLines: 2 }).text, text);
});

/** Long tables with an odd line here and there are cut out too: else this could not fail. */
test("odd lines do not keep the others from being cut out", () => {
  const text = 'x: &x { k: l }\nusers:\n  a: b\n  "\\x41": c\n  d: e\n  <<: *x\n  f: g\n  a: h\n';
  const { faults, duplicates, root } = composeYaml(text, isTablePath, { minTableLines: 1, minPieceLines: 1 });
  assert.deepEqual(faults, []);
  assert.deepEqual(duplicates, [{ key: "a", offset: text.lastIndexOf("a: h") }]);
  assert.ok(root?.kind === "mapping");
  const users = root.entries.get("users")?.value;
  assert.ok(users?.kind === "bulk");
  const keys = Array.from(
    { length: users.table.keyCount },
    (_, entry) => `${users.table.keyAt(entry)}=${users.table.valueAt(entry)}`,
  );
  assert.deepEqual(keys, ["a=h", "A=c", "d=e", "f=g", "k=l"]);
});
