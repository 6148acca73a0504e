import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { printable, printableJson } from "./printable.ts";

const cases = [
  { name: "plain text", text: "a b~!", want: "a b~!", json: '"a b~!"' },
  { name: "letters past ASCII", text: "Grüße 東京", want: "Grüße 東京", json: '"Grüße 東京"' },
  { name: "CR LF", text: "a\r\nb", want: "a??b", json: String.raw`"a\r\nb"` },
  { name: "escape", text: "\x1b[2Jx", want: "?[2Jx", json: String.raw`"\u001b[2Jx"` },
  { name: "DEL and C1", text: "\x7f\x85\x9b", want: "???", json: String.raw`"\u007f\u0085\u009b"` },
  { name: "line and paragraph separators", text: "a\u2028b\u2029", want: "a?b?", json: String.raw`"a\u2028b\u2029"` },
  { name: "right-to-left override", text: "a\u202eb", want: "a?b", json: String.raw`"a\u202eb"` },
  { name: "lone surrogate", text: "a\ud800b", want: "a?b", json: String.raw`"a\ud800b"` },
  { name: "tag outside the first plane", text: "a\u{e0041}b", want: "a?b", json: String.raw`"a\udb40\udc41b"` },
];

for (const { name, text, want, json } of cases)
  test(name, () => {
    assert.equal(printable(text), want);
    assert.equal(printableJson(text), json);
  });

test("JSON of any text is one printable line that reads back as it was", () =>
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const json = printableJson({ text });
      assert.equal(printable(json), json);
      assert.deepEqual(JSON.parse(json), { text });
    }),
  ));
