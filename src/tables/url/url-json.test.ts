import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compactJson, membersOf } from "./url-json.ts";

const cases: readonly [json: string, compact: string][] = [
  ["12", "12"],
  [" \t\r\n12\n", "12"],
  ['{ "a" : [ 1 , 2 ] }', '{"a":[1,2]}'],
  ['[ " a b " , "\\"  \\\\" , "\\\\\\"  " ]', '[" a b ","\\"  \\\\","\\\\\\"  "]'],
  ["[ 123456789012345678901234567890, 1.00, 1E5, -0 ]", "[123456789012345678901234567890,1.00,1E5,-0]"],
  ['{ "\\u0041\\/" : "\\u00fc ü" }', '{"\\u0041\\/":"\\u00fc ü"}'],
];
for (const [json, compact] of cases) test(`compact: ${json}`, () => assert.equal(compactJson(json), compact));

/** JSON texts with blanks wherever they may be. */
const blank = fc.string({ unit: fc.constantFrom(" ", "\n", "\r", "\t"), maxLength: 3 });
const spaced = fc.tuple(fc.json({ stringUnit: "binary" }), fc.infiniteStream(blank)).map(([json, blanks]) => {
  const between = (): string => blanks.next().value as string;
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[^"\s]/gs) ?? [];
  const isWord = (token: string | undefined): boolean => token !== undefined && /^[\w.+-]$/.test(token);
  return tokens.map((token, at) => token + (isWord(token) && isWord(tokens[at + 1]) ? "" : between())).join("");
});

test("compact JSON means the same, and has no blank outside its strings", () => {
  fc.assert(
    fc.property(spaced, (json) => {
      const compact = compactJson(json);
      assert.deepEqual(JSON.parse(compact), JSON.parse(json));
      assert.doesNotMatch(compact.replaceAll(/"(?:[^"\\]|\\.)*"/gs, ""), /\s/);
      assert.equal(compactJson(compact), compact);
    }),
    { numRuns: 500 },
  );
});

test("members keep the text of their values", () => {
  const object = '{"a":12345678901234567890,"\\u0062":"x\\"},{","c":{"d":[1,{"e":"]"}]},"":[],"a":1}';
  assert.deepEqual(
    [...membersOf(object)],
    [
      ["a", "1"],
      ["b", '"x\\"},{"'],
      ["c", '{"d":[1,{"e":"]"}]}'],
      ["", "[]"],
    ],
  );
  assert.deepEqual([...membersOf("{}")], []);
});

test("members are those that JSON.parse sees", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), (value) => {
      const object = JSON.stringify(value);
      const members = [...membersOf(object)].map(([name, text]) => [name, JSON.parse(text) as unknown]);
      assert.deepEqual(Object.fromEntries(members), JSON.parse(object));
    }),
  );
});
