import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import { decodeText, encodeText, encodeTextAsLatin1 } from "./text.ts";

const cases = [
  { name: "nothing", hex: "", text: "" },
  { name: "ASCII", hex: "61 20 00 7f", text: "a \0\x7f" },
  { name: "two bytes", hex: "c3 9c", text: "Ü" },
  { name: "three bytes", hex: "e2 82 ac", text: "€" },
  { name: "four bytes", hex: "f0 9f 98 80", text: "😀" },
  { name: "a replacement character that came as such", hex: "ef bf bd", text: "\ufffd" },
  { name: "a byte order mark", hex: "ef bb bf 61", text: "\ufeffa" },
  {
    name: "first and last code points",
    hex: "c2 80 ed 9f bf ee 80 80 f4 8f bf bf",
    text: "\x80\ud7ff\ue000\u{10ffff}",
  },
  { name: "latin1", hex: "61 fc 62", text: "a\udcfcb" },
  { name: "a continuation alone", hex: "80", text: "\udc80" },
  { name: "cut two bytes", hex: "c3", text: "\udcc3" },
  { name: "cut three bytes", hex: "e2 82 41", text: "\udce2\udc82A" },
  { name: "cut four bytes", hex: "f0 9f 98", text: "\udcf0\udc9f\udc98" },
  { name: "overlong slash", hex: "c0 af e0 80 af", text: "\udcc0\udcaf\udce0\udc80\udcaf" },
  { name: "overlong four bytes", hex: "f0 80 80 80", text: "\udcf0\udc80\udc80\udc80" },
  { name: "beyond the last code point", hex: "f4 90 80 80", text: "\udcf4\udc90\udc80\udc80" },
  { name: "no lead byte at all", hex: "ff fe f5 80", text: "\udcff\udcfe\udcf5\udc80" },
  { name: "a surrogate written as UTF-8", hex: "ed b2 80", text: "\udced\udcb2\udc80" },
  { name: "a pair written as two surrogates", hex: "ed a0 bd ed b8 80", text: "\udced\udca0\udcbd\udced\udcb8\udc80" },
  { name: "broken beside whole", hex: "c3 bc fc ef bf bd 61 e2", text: "ü\udcfc\ufffda\udce2" },
  { name: "a byte after a pair", hex: "f0 9f 98 80 80", text: "😀\udc80" },
];
for (const { name, hex, text } of cases)
  test(`${name} comes in and goes out`, () => {
    const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
    assert.equal(decodeText(bytes), text);
    assert.equal(encodeText(text).toString("hex"), bytes.toString("hex"));
    assert.equal(encodeTextAsLatin1(text), bytes.toString("latin1"));
  });

test("a part of a buffer is decoded by itself", () => {
  const bytes = Buffer.from("c3bcfcc3bc", "hex");
  assert.equal(decodeText(bytes, 1, 4), "\udcbc\udcfc\udcc3");
  assert.equal(decodeText(bytes, 3), "ü");
  assert.equal(decodeText(bytes, 2, 2), "");
  assert.equal(decodeText(Buffer.from("ü"), 0, 1), "\udcc3", "though the whole is UTF-8");
});

test("surrogates that stand for no byte become the replacement character", () => {
  assert.equal(encodeText("a\ud800b").toString(), "a\ufffdb");
  assert.equal(encodeText("\udc00\udc7f\udd00\udfff\ud83d").toString(), "\ufffd\ufffd\ufffd\ufffd\ufffd");
  assert.equal(encodeText("\ud83d\udc80").toString("hex"), "f09f9280", "a pair is a character");
});

const nasty = fc
  .array(
    fc.constantFrom("edb280", "f09f9880", "efbfbd", "c3", "a9", "e282", "f4908080", "c080", "ff", "41", "efbbbf", "ed"),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.from(parts.join(""), "hex"));
const anyBytes = fc.oneof(
  nasty,
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);

test("any bytes come out as they went in", () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const text = decodeText(bytes);
      assert.equal(encodeText(text).toString("hex"), bytes.toString("hex"));
      assert.equal(text.isWellFormed(), isUtf8(bytes));
      if (isUtf8(bytes)) assert.equal(text, bytes.toString());
    }),
    { numRuns: 5000 },
  );
});

test("any text of Unicode comes back as it went out", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.equal(decodeText(encodeText(text)), text);
      assert.deepEqual(encodeText(text), Buffer.from(text));
    }),
  );
});

test("any UTF-16 can be sent, and is the same from then on", () => {
  const units = fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 })).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(units, (text) => {
      const bytes = encodeText(text);
      assert.deepEqual(encodeText(decodeText(bytes)), bytes);
    }),
  );
});
