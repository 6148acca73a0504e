import assert from "node:assert/strict";
import { test } from "node:test";
import { composeYaml } from "./compose.ts";
import type { YamlNode } from "./node.ts";
import { createLocator, decodeSource } from "./source-text.ts";
import { isTablePath } from "../config/pack-tables.ts";
import { toRaw } from "./tree.ts";

const NEVER_BULK = (): boolean => false;

/** As plain objects, which are easier to compare; `null` is `key:` with nothing behind it. */
function simplify(raw: unknown): unknown {
  if (raw instanceof Map) return Object.fromEntries([...raw].map(([key, value]) => [key, simplify(value)]));
  return Array.isArray(raw) ? raw.map(simplify) : raw;
}

function read(text: string): unknown {
  const { root, faults } = composeYaml(text, NEVER_BULK);
  assert.deepEqual(faults, []);
  assert.ok(root);
  return simplify(toRaw(root));
}

function bulkOf(node: YamlNode | undefined): Record<string, string> {
  assert.ok(node?.kind === "mapping");
  const users = node.entries.get("users")?.value;
  assert.ok(users?.kind === "bulk");
  const { table } = users;
  return Object.fromEntries(
    Array.from({ length: table.keyCount }, (_, entry) => [table.keyAt(entry), table.valueAt(entry)]),
  );
}

/** Each fault as `line:column message`. */
function faultsOf(text: string): string[] {
  const locate = createLocator(text);
  return composeYaml(text, isTablePath).faults.map(({ offset, message }) => {
    const { line, column } = locate(offset);
    return `${line}:${column} ${message}`;
  });
}

const values: readonly [string, string, unknown][] = [
  ["words of YAML 1.1 stay text", "no: on\nn: yes\ny: Off", { no: "on", n: "yes", y: "Off" }],
  ["numbers stay text", "0660: 0x10\n12345: 0123\n1e3: 1_000", { "0660": "0x10", "12345": "0123", "1e3": "1_000" }],
  ["null words stay text", "a: ~\nb: null", { a: "~", b: "null" }],
  ["nothing is nothing", "a:\nb: ''", { a: null, b: "" }],
  ["dates and infinities stay text", "a: 2024-01-01\nb: .inf", { a: "2024-01-01", b: ".inf" }],
  ["quotes and escapes are resolved", String.raw`a: "\x41\n"` + "\nb: 'it''s'", { a: "A\n", b: "it's" }],
  ["block scalars are resolved", "a: |\n  x\n  y\nb: >-\n  x\n  y\n", { a: "x\ny\n", b: "x y" }],
  ["flow and block are the same", "a: { b: [c, d] }", { a: { b: ["c", "d"] } }],
  ["CR LF ends a line", "a: b\r\nc:\r\n  d: e\r\n", { a: "b", c: { d: "e" } }],
  ["a document start is no second document", "---\na: b\n...\n", { a: "b" }],
  ["harmless tags change nothing", "a: !!str 0660\nb: !!int 12", { a: "0660", b: "12" }],
  ["aliases stand for their anchor", "a: &x { b: c }\nd: *x", { a: { b: "c" }, d: { b: "c" } }],
  ["an anchor may be set again", "a: &x 1\nb: *x\nc: &x 2\nd: *x", { a: "1", b: "1", c: "2", d: "2" }],
  [
    "<< fills in what is not there",
    "a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\nc: { y: 4, <<: *a }",
    { a: { x: "1", y: "2" }, b: { y: "3", x: "1" }, c: { y: "4", x: "1" } },
  ],
  [
    "the first of several in << wins",
    "a: &a { x: 1 }\nb: &b { x: 2, y: 2 }\nc: { <<: [*a, *b] }",
    { a: { x: "1" }, b: { x: "2", y: "2" }, c: { x: "1", y: "2" } },
  ],
  ["a quoted << is a key", 'a: { "<<": b }', { a: { "<<": "b" } }],
  ["keys of objects are only keys", "__proto__: a\nconstructor: b", JSON.parse('{"__proto__":"a","constructor":"b"}')],
];
for (const [name, text, value] of values) test(name, () => assert.deepEqual(read(text), value));

const bad: readonly [string, string, readonly string[]][] = [
  [
    "a tab",
    "a:\n\tb: c\n",
    ["2:1 YAML takes no tabs for indentation (tab characters must not be used in indentation)"],
  ],
  ["bad indentation", "a: b\n  c: d\n", ["2:4 not valid YAML: bad indentation of a mapping entry"]],
  ["an open bracket", "a: [b\n", ["1:6 not valid YAML: the file ends, and a bracket or quote is not closed"]],
  ["a NUL", "a: b\0", ["1:5 a NUL byte: this is not a text file"]],
  ["two documents", "a: b\n---\nc: d\n", ['3:1 a second document in one file: remove the "---" before it']],
  ["an unknown alias", "a: *b", ['1:4 no anchor of this name before it (text that begins with "*" needs quotes)']],
  ["an alias to itself", "a: &a [*a]", ["1:8 an alias within the very thing it stands for"]],
  [
    "an unknown tag",
    "a: !secret b",
    ['1:4 this YAML tag has no meaning here (text that begins with "!" needs quotes)'],
  ],
  [
    "a key that is no text",
    "? [a]\n: b\n? {c: d}\n: e\n",
    ["1:3 a key must be text, this is a list", "3:3 a key must be text, this is a mapping"],
  ],
  ["<< of text", "a: { <<: b }", ['1:6 "<<" takes a mapping or a list of mappings, such as *name']],
  ["<< of a list of lists", "a: { <<: [[]] }", ['1:6 "<<" takes a mapping or a list of mappings']],
  [
    "a user with two backends",
    "users: { a: [b, c], d: {}, e: f }",
    [
      '1:13 the value of "a" must be one name, this is a list',
      '1:24 the value of "d" must be one name, this is a mapping',
    ],
  ],
];
for (const [name, text, faults] of bad) test(`a fault: ${name}`, () => assert.deepEqual(faultsOf(text), faults));

test("duplicates are told, and the last one stands", () => {
  const { root, duplicates } = composeYaml('users: { a: x, "a": y }\nb: 1\nb: 2\n', isTablePath);
  assert.deepEqual(duplicates, [
    { key: "a", offset: 15 },
    { key: "b", offset: 29 },
  ]);
  assert.deepEqual(bulkOf(root), { a: "y" });
});

test("<< works in a table, from a mapping and from a table", () => {
  const { root, faults } = composeYaml("x: &x { a: 1, b: 2 }\nusers: { b: 3, <<: *x, c: 4 }\n", isTablePath);
  assert.deepEqual(faults, []);
  assert.deepEqual(bulkOf(root), { b: "3", c: "4", a: "1" });
  const again = composeYaml("users: &u { a: 1, b: 2 }\nother: { b: 3, <<: *u }\n", isTablePath).root;
  assert.ok(again?.kind === "mapping");
  assert.deepEqual(simplify(toRaw(again.entries.get("other")?.value ?? again)), { b: "3", a: "1" });
});

test("a bomb of aliases stays as small as its file", () => {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 25; level++)
    lines.push(
      `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(", ")}]`,
    );
  const { root, faults } = composeYaml(lines.join("\n"), isTablePath);
  assert.deepEqual(faults, []);
  assert.ok(toRaw(root ?? assert.fail()) instanceof Map);
});

test("a bomb of merges ends in one fault", () => {
  const keys = Array.from({ length: 2000 }, (_, key) => `k${key}: v`).join(", ");
  const text = `x: &x { ${keys} }\nusers: { <<: [${Array(2000).fill("*x").join(", ")}] }\n`;
  assert.deepEqual(faultsOf(text), ['2:10 "<<" copies more than 1000000 entries in this file']);
});

test("collections nested too deep are a fault", () => {
  assert.match(faultsOf(`a: ${"[".repeat(1000)}${"]".repeat(1000)}`)[0] ?? "", /^1:\d+ not valid YAML: nesting/);
});

test("positions count lines from 1 and characters, not UTF-16 units", () => {
  const locate = createLocator("é: 𝄞\r\nb: c\rd: e\n");
  const at = (offset: number): [number, number] => [locate(offset).line, locate(offset).column];
  assert.deepEqual(
    [at(0), at(5), at(7), at(12), at(99)],
    [
      [1, 1],
      [1, 5],
      [2, 1],
      [3, 1],
      [4, 1],
    ],
  );
});

test("bytes that are no UTF-8 are told with their line, a byte order mark is dropped", () => {
  const decode = (bytes: Buffer): unknown => decodeSource("f", bytes);
  assert.deepEqual(decode(Buffer.from("\ufeffa: b")), { kind: "ok", source: { path: "f", text: "a: b" } });
  assert.deepEqual(decode(Buffer.from("a: b\nc: \xe9\n", "latin1")), {
    kind: "bad",
    message: "this line is not UTF-8 text",
    line: 2,
  });
  assert.deepEqual(decode(Buffer.from("\ufeffa: b", "utf16le")), {
    kind: "bad",
    message: "the file is UTF-16: save it as UTF-8",
    line: 1,
  });
});
