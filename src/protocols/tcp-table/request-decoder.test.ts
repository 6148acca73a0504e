import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeText } from "../../wire/text.ts";
import { encodePercent } from "./percent.ts";
import { MAX_REQUEST_BYTES, RequestDecoder } from "./request-decoder.ts";

/** "!" marks malformed. */
function decodeInChunks(input: Buffer, chunkBytes: number): string[] {
  const decoder = new RequestDecoder();
  const seen: string[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    decoder.push(input.subarray(at, at + chunkBytes));
    for (let request = decoder.next(); request !== undefined; request = decoder.next())
      if (request.kind === "get") seen.push(request.key);
      else seen.push(request.kind === "put" ? "(put)" : `!${request.reason}`);
  }
  return seen;
}

const NEITHER = "!neither get nor put";
const BROKEN = "!a % without two hexadecimal digits";
const cases = [
  { name: "an address", input: "get joe%20smith@example.com\n", want: ["joe smith@example.com"] },
  { name: "two in one segment", input: "get *\nget example.com\n", want: ["*", "example.com"] },
  { name: "an empty key", input: "get \n", want: [""] },
  { name: "hexadecimal digits of any case", input: "get %c3%9C%25%0a\n", want: ["Ü%\n"] },
  { name: "UTF-8 as it is", input: "get \xc3\x9c%21\n", want: ["Ü!"] },
  { name: "no UTF-8", input: "get %fc\xfc\n", want: ["\udcfc\udcfc"] },
  { name: "half a character encoded", input: "get \xc3%9c\n", want: ["Ü"] },
  { name: "CR LF", input: "get a\r\nget b%0D\r\n", want: ["a", "b\r"] },
  { name: "a blank in the key", input: "get a b\n", want: ["a b"] },
  { name: "what only looks encoded", input: "get %2541\n", want: ["%41"] },
  { name: "put", input: "put a b\nget c\n", want: ["(put)", "c"] },
  { name: "no digits", input: "get a\nget %\nget b\n", want: ["a", BROKEN] },
  { name: "one digit", input: "get %4\n", want: [BROKEN] },
  { name: "digits that are none", input: "get %4g\n", want: [BROKEN] },
  { name: "no key", input: "get\n", want: [NEITHER] },
  { name: "another command", input: "get a\nquit\nget b\n", want: ["a", NEITHER] },
  { name: "another case", input: "GET a\n", want: [NEITHER] },
  { name: "an empty line", input: "\nget a\n", want: [NEITHER] },
  { name: "another protocol", input: "4:tr *,\n", want: [NEITHER] },
  { name: "incomplete", input: "get a", want: [] },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () =>
      assert.deepEqual(decodeInChunks(Buffer.from(input, "latin1"), chunkBytes), want));

test("a key of 10000 bytes is read, every one of them encoded", () => {
  assert.deepEqual(decodeInChunks(Buffer.from(`get ${"%FF".repeat(10_000)}\n`), 4096), ["\udcff".repeat(10_000)]);
});

test("a line that is too long ends it, and nothing is kept", () => {
  const longest = "x".repeat(MAX_REQUEST_BYTES - "get \n".length);
  assert.deepEqual(decodeInChunks(Buffer.from(`get ${longest}\n`), 65_536), [longest]);
  const decoder = new RequestDecoder();
  decoder.push(Buffer.from(`get ${longest}x\nget a\n`));
  assert.deepEqual(decoder.next(), { kind: "malformed", reason: "line exceeds 100000 bytes" });
  decoder.push(Buffer.from("get b\n"));
  assert.equal(decoder.next(), undefined);
  assert.ok(!decoder.hasInput);
});

test("any key arrives as it was encoded, in any chunking", () => {
  const key = fc.uint8Array({ maxLength: 30 }).map((bytes) => decodeText(Buffer.from(bytes)));
  fc.assert(
    fc.property(fc.array(key, { maxLength: 4 }), fc.integer({ min: 1, max: 9 }), (keys, chunkBytes) => {
      const lines = keys.map((each) => `get ${encodePercent(each)}\n`).join("");
      assert.match(lines, /^(?:get [!-~]*\n)*$/);
      assert.deepEqual(decodeInChunks(Buffer.from(lines), chunkBytes), keys);
    }),
  );
});
