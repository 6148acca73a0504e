import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { escapeField, joinValues, splitFields, unescapeField } from "./tab-fields.ts";
import { decodeText, encodeText } from "./text.ts";

/** What a client makes of a field of several values. */
function splitValues(field: string): string[] {
  return splitFields(unescapeField(field));
}

const cases = [
  { name: "nothing", raw: "", field: "" },
  { name: "plain text", raw: "priv/quota/storage", field: "priv/quota/storage" },
  { name: "NUL", raw: "\0", field: "\x010" },
  { name: "0x01", raw: "\x01", field: "\x011" },
  { name: "TAB", raw: "a\tb", field: "a\x01tb" },
  { name: "CR LF", raw: "\r\n", field: "\x01r\x01n" },
  { name: "what looks escaped", raw: "\x01t", field: "\x011t" },
  { name: "the digits and letters themselves", raw: "01trn", field: "01trn" },
  { name: "Unicode", raw: "Ü\t😀", field: "Ü\x01t😀" },
  { name: "no UTF-8", raw: "\udcfc\n", field: "\udcfc\x01n" },
];
for (const { name, raw, field } of cases)
  test(`${name} in a field`, () => {
    assert.equal(escapeField(raw), field);
    assert.equal(unescapeField(field), raw);
    assert.deepEqual(splitFields(`x\t${field}\ty`), ["x", raw, "y"]);
  });

const tolerated = [
  { name: "a letter that means nothing", field: "a\x01xb", raw: "axb" },
  { name: "0x01 at the end", field: "a\x01", raw: "a" },
  { name: "0x01 alone", field: "\x01", raw: "" },
  { name: "0x01 twice", field: "\x01\x01t", raw: "\x01t" },
  { name: "0x01 before a pair", field: "\x01😀", raw: "😀" },
];
for (const { name, field, raw } of tolerated) test(`${name} is taken`, () => assert.equal(unescapeField(field), raw));

test("an escape within a UTF-8 character leaves the character", () => {
  const field = decodeText(Buffer.from("c301a9", "hex"));
  assert.equal(unescapeField(field), "é");
});

test("fields are cut before they are unescaped", () => {
  assert.deepEqual(splitFields("a\x01\tb"), ["a", "b"]);
  assert.deepEqual(splitFields(""), [""]);
  assert.deepEqual(splitFields("\t"), ["", ""]);
  assert.deepEqual(splitFields("1\tpriv/z\ta\x01tb"), ["1", "priv/z", "a\tb"]);
});

test("several values are escaped twice", () => {
  assert.equal(joinValues(["one", "two"]), "one\x01ttwo");
  assert.equal(joinValues(["a\tb", "c"]), "a\x011tb\x01tc");
  assert.deepEqual(splitValues("one\x01ttwo"), ["one", "two"]);
  assert.deepEqual(splitValues("a\x011tb\x01tc"), ["a\tb", "c"]);
});

const nasty = fc
  .array(fc.constantFrom(0, 1, 9, 10, 13, 0x30, 0x31, 0x74, 0x41, 0xc3, 0xa9, 0xed, 0xb2, 0x80, 0xff), {
    maxLength: 10,
  })
  .map((bytes) => Buffer.from(bytes));

test("any bytes can be a field", () => {
  fc.assert(
    fc.property(fc.array(nasty, { minLength: 1, maxLength: 5 }), (fields) => {
      const texts = fields.map((field) => decodeText(field));
      const line = texts.map(escapeField).join("\t");
      assert.ok(!/[\0\r\n]/.test(line));
      assert.deepEqual(splitFields(line), texts);
      assert.deepEqual(splitFields(decodeText(encodeText(line))), texts);
      assert.deepEqual(splitValues(joinValues(texts)), texts);
    }),
    { numRuns: 3000 },
  );
});

test("any line can be split, into texts that are the same once sent", () => {
  fc.assert(
    fc.property(nasty, (line) => {
      for (const text of splitFields(decodeText(line))) assert.equal(decodeText(encodeText(text)), text);
    }),
    { numRuns: 3000 },
  );
});
