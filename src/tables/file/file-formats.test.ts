import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openPacked } from "../../packed/packed-table.ts";
import type { ParsedFile } from "./file-findings.ts";
import { parseJsonTable } from "./file-json.ts";
import { parsePostfixText } from "./file-postfix.ts";
import { parseYamlTable } from "./file-yaml.ts";

type Parse = (text: string, foldsKeys: boolean) => ParsedFile;

const entriesOf = ({ table }: ParsedFile): [string, string][] => [...openPacked(table.finish()).entries()];

/** Each as `offset text`. */
const told = ({ kept }: ParsedFile["faults"]): string[] => kept.map(({ offset, text }) => `${offset} ${text}`);

interface GoodCase {
  readonly name: string;
  readonly text: string;
  readonly entries: readonly (readonly [string, string])[];
  readonly warnings?: readonly string[];
}

interface BadCase {
  readonly name: string;
  readonly text: string;
  readonly faults: readonly string[];
}

function testFormat(format: string, parse: Parse, good: readonly GoodCase[], bad: readonly BadCase[]): void {
  for (const { name, text, entries, warnings = [] } of good)
    test(`${format}: ${name}`, () => {
      const parsed = parse(text, false);
      assert.deepEqual(told(parsed.faults), []);
      assert.deepEqual(entriesOf(parsed), entries);
      assert.deepEqual(told(parsed.warnings), warnings);
    });
  for (const { name, text, faults } of bad)
    test(`${format}, a fault: ${name}`, () => assert.deepEqual(told(parse(text, false).faults), faults));
}

// What is found was compared with `postmap -s` of Postfix 3.7, but for its folding of keys.
testFormat(
  "postfix",
  parsePostfixText,
  [
    { name: "nothing", text: "", entries: [] },
    { name: "comments and blank lines", text: "# a\n  # b\n\n \t\nc d\n", entries: [["c", "d"]] },
    { name: "the last line without its end", text: "a b", entries: [["a", "b"]] },
    {
      name: "CR LF",
      text: "a b\r\nc d\r\n",
      entries: [
        ["a", "b"],
        ["c", "d"],
      ],
    },
    { name: "blanks around are no value", text: "a \t b c \t\n", entries: [["a", "b c"]] },
    { name: "# within a line is no comment", text: "x#y z # w\n", entries: [["x#y", "z # w"]] },
    { name: "a line that begins with a blank goes on", text: "a\n b\n\tc\n", entries: [["a", "b\tc"]] },
    {
      name: "comments and blank lines end no entry",
      text: "b   2   \n   continued\n  # comment\n\tmore\n\n\tafter blank\nc 3\n",
      entries: [
        ["b", "2      continued\tmore\tafter blank"],
        ["c", "3"],
      ],
    },
    { name: "quotes keep blanks in a key", text: '"odd user"@x  y\n', entries: [['"odd user"@x', "y"]] },
    { name: "an escaped quote", text: String.raw`"odd\"user z"@x y2`, entries: [[String.raw`"odd\"user z"@x`, "y2"]] },
    { name: "an escaped blank", text: String.raw`back\ slash v`, entries: [[String.raw`back\ slash`, "v"]] },
    { name: "quotes in a value stay", text: 'k "quoted value"\n', entries: [["k", '"quoted value"']] },
    {
      name: "UTF-8, and blanks that are none to C",
      text: "müller@exämple.com\u00a0x y\u00a0\n",
      entries: [["müller@exämple.com\u00a0x", "y\u00a0"]],
    },
    {
      name: "of two the first counts",
      text: "a 1\nb 2\na 3\n",
      entries: [
        ["a", "1"],
        ["b", "2"],
      ],
      warnings: ['8 "a" stands here a second time: the first one counts'],
    },
    {
      name: "an aliases file",
      text: "root: admin\n",
      entries: [["root:", "admin"]],
      warnings: ['0 the key "root:" ends with a colon: is this a file for newaliases, not for postmap?'],
    },
  ],
  [
    { name: "no value", text: "a b\nc\nd e\n", faults: ['4 expected a key, a blank and a value, got "c"'] },
    {
      name: "an open quote",
      text: '"odd user@x y\n',
      faults: [String.raw`0 a quote is not closed in "\"odd user@x y"`],
    },
    {
      name: "a first line that goes on",
      text: "# a\n b c\nd e\n",
      faults: ["4 the first entry must not begin with a blank: a blank continues the line above"],
    },
    {
      name: "a database",
      text: "a\0b",
      faults: ["1 this is not a text file, there is a NUL byte: name the text that postmap reads, not its .db"],
    },
  ],
);

testFormat(
  "yaml",
  parseYamlTable,
  [
    {
      name: "text, numbers and words",
      text: "a: b\nno: on\n0660: 0123\nc: 'd e'\n",
      entries: [
        ["a", "b"],
        ["no", "on"],
        ["0660", "0123"],
        ["c", "d e"],
      ],
    },
    { name: "no entries", text: "{}", entries: [] },
    { name: "nothing is empty text", text: "a:\n", entries: [["a", ""]] },
    { name: "JSON is YAML", text: '{"a": "b"}', entries: [["a", "b"]] },
    {
      name: "of two the last counts",
      text: "a: 1\nb: 2\na: 3\n",
      entries: [
        ["a", "3"],
        ["b", "2"],
      ],
      warnings: ['10 "a" stands here a second time: the last one counts'],
    },
  ],
  [
    {
      name: "an empty file",
      text: "# nothing\n",
      faults: ["0 there is nothing in the file: write {} for a table without entries"],
    },
    { name: "a list", text: "- a\n", faults: ["0 the file must be one mapping of key to value, this is a list"] },
    { name: "text", text: "user1 old\n", faults: ["0 the file must be one mapping of key to value, this is text"] },
    {
      name: "values that are no text",
      text: "a: [b]\nc: {d: e}\n",
      faults: [
        '3 the value of "a" must be text, this is a list',
        '10 the value of "c" must be text, this is a mapping',
      ],
    },
    {
      name: "what is no YAML",
      text: "a: [b\n",
      faults: ["5 not valid YAML: the file ends, and a bracket or quote is not closed"],
    },
  ],
);

testFormat(
  "json",
  parseJsonTable,
  [
    { name: "no entries", text: " { } \n", entries: [] },
    {
      name: "text",
      text: '{"a":"b",\n "":""}',
      entries: [
        ["a", "b"],
        ["", ""],
      ],
    },
    { name: "escapes", text: String.raw`{"\u0041\n\"":"\\\"\/\ud834\udd1e"}`, entries: [['A\n"', '\\"/𝄞']] },
    {
      name: "numbers keep their digits",
      text: '{"a":12345678901234567890, "b":1e3, "c":-0.10 }',
      entries: [
        ["a", "12345678901234567890"],
        ["b", "1e3"],
        ["c", "-0.10"],
      ],
    },
    {
      name: "words",
      text: '{"a":true,"b":false}',
      entries: [
        ["a", "true"],
        ["b", "false"],
      ],
    },
    {
      name: "objects and lists are their JSON, blanks in text kept",
      text: '{"a": { "password": "{PLAIN} x \\" y", "n": [ 1, 2 ] },\n"b": [ ]}',
      entries: [
        ["a", String.raw`{"password":"{PLAIN} x \" y","n":[1,2]}`],
        ["b", "[]"],
      ],
    },
    {
      name: "names that mean something to JavaScript",
      text: '{"__proto__":"a","constructor":"b","1":"c"}',
      entries: [
        ["__proto__", "a"],
        ["constructor", "b"],
        ["1", "c"],
      ],
    },
    {
      name: "of two the last counts",
      text: '{"a":"1","a":"2"}',
      entries: [["a", "2"]],
      warnings: ['9 "a" stands here a second time: the last one counts'],
    },
  ],
  [
    {
      name: "an empty file",
      text: "\n",
      faults: ["1 there is nothing in the file: write {} for a table without entries"],
    },
    { name: "a list", text: "[]", faults: ['0 the file must be one object, {"key": "value"}'] },
    { name: "text", text: "user1 old", faults: ['0 the file must be one object, {"key": "value"}'] },
    { name: "cut short", text: '{"a":"b",', faults: ["9 the file ends before the table does"] },
    { name: "cut in a string", text: '{"a":"b', faults: ["5 a quote is not closed"] },
    { name: "cut in a value", text: '{"a":[1,', faults: ["5 a bracket is not closed"] },
    { name: "a comma too many", text: '{"a":"b",}', faults: ["9 expected a key between double quotes here"] },
    { name: "a comma too few", text: '{"a":"b" "c":"d"}', faults: ['9 expected "," or "}" here'] },
    { name: "no colon", text: '{"a" "b"}', faults: ['5 expected ":" behind the key "a"'] },
    { name: "no value", text: '{"a":}', faults: ["5 expected a value here"] },
    { name: "a word", text: '{"a":yes}', faults: ['5 the value of "a" is not valid JSON'] },
    { name: "mixed brackets", text: '{"a":[1}]}', faults: ['5 the value of "a" is not valid JSON'] },
    { name: "a bad escape", text: String.raw`{"a":"\x"}`, faults: ["5 this string is not valid JSON"] },
    { name: "a control character", text: '{"a":"\n"}', faults: ["5 this string is not valid JSON"] },
    {
      name: "half a character",
      text: String.raw`{"a":"\ud834"}`,
      faults: ["5 half of a surrogate pair, which is no character"],
    },
    {
      name: "null",
      text: '{"a":null,"b":"c"}',
      faults: ['1 the value of "a" is null: take the entry out, or write "" for empty text'],
    },
    { name: "two tables", text: "{}{}", faults: ['2 there is something behind the closing "}"'] },
  ],
);

test("of many faults five are kept, and all are counted", () => {
  const { faults } = parsePostfixText("a\n".repeat(50), false);
  assert.equal(faults.kept.length, 5);
  assert.equal(faults.count, 50);
});

for (const [format, parse, text] of [
  ["postfix", parsePostfixText, "User1 a\nuser1 b\n"],
  ["yaml", parseYamlTable, "User1: b\nuser1: a\n"],
  ["json", parseJsonTable, '{"User1":"b","user1":"a"}'],
] as const)
  test(`${format}: folded keys that fall together are told`, () => {
    const parsed = parse(text, true);
    assert.deepEqual(entriesOf(parsed), [["user1", "a"]]);
    assert.match(told(parsed.warnings).join(), /"user1" stands here a second time/);
  });

test("json reads what JSON.parse reads, and nothing else", () => {
  const piece = fc.constantFrom(
    '"a"',
    '"b\\n"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "1",
    "-",
    "true",
    "null",
    " ",
    '"',
    "\\",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.array(piece).map((pieces) => `{${pieces.join("")}}`),
      ),
      (text) => {
        const wanted = parseObject(text);
        const parsed = parseJsonTable(text, false);
        if (wanted === undefined) assert.ok(parsed.faults.count > 0);
        else if (Object.values(wanted).includes(null)) assert.ok(parsed.faults.count > 0 || parsed.warnings.count > 0);
        else if (parsed.faults.count === 0)
          for (const [key, value] of entriesOf(parsed))
            assert.equal(
              typeof wanted[key] === "string" ? value : JSON.stringify(JSON.parse(value)),
              typeof wanted[key] === "string" ? wanted[key] : JSON.stringify(wanted[key]),
            );
        else assert.match(told(parsed.faults).join(), /null|surrogate/);
      },
    ),
    { numRuns: 3_000 },
  );
});

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

test("long things cost neither stack nor time", () => {
  const long = "x".repeat(5_000_000);
  assert.deepEqual(entriesOf(parsePostfixText(`${long} v`, false)), [[long, "v"]]);
  assert.equal(parsePostfixText(`${'\\"'.repeat(1_000_000)}"${"\\x".repeat(1_000_000)} v`, false).faults.count, 1);
  assert.deepEqual(entriesOf(parseJsonTable(`{"a":["${"\\n".repeat(1_000_000)}"]}`, false))[0]?.[1].length, 2_000_004);
});
