import assert from "node:assert/strict";
import { test } from "node:test";
import { TextLineDecoder } from "./text-line-decoder.ts";

/** "!" marks a line that was too long, "?" bytes that wait for more. Each chunk is wiped once it was read. */
function decodeInChunks(input: string, chunkBytes: number): string[] {
  const decoder = new TextLineDecoder(10);
  const seen: string[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    const chunk = Buffer.from(input.slice(at, at + chunkBytes), "latin1");
    decoder.push(chunk);
    for (let line = decoder.next(); line !== undefined; line = decoder.next())
      seen.push(line.kind === "line" ? line.text : "!");
    chunk.fill("#");
  }
  if (decoder.hasInput) seen.push("?");
  return seen;
}

const cases = [
  { name: "two lines", input: "one\ntwo\n", want: ["one", "two"] },
  { name: "empty line", input: "\n\na\n", want: ["", "", "a"] },
  { name: "a CR stays", input: "a\r\n\r\r\n", want: ["a\r", "\r\r"] },
  { name: "UTF-8", input: "\xc3\x9c\xe2\x82\xac\n", want: ["Ü€"] },
  { name: "no UTF-8", input: "\xfc\n\xc3\n\x9c\n", want: ["\udcfc", "\udcc3", "\udc9c"] },
  { name: "NUL", input: "a\0b\n", want: ["a\0b"] },
  { name: "as long as allowed", input: "123456789\nx\n", want: ["123456789", "x"] },
  { name: "too long by one", input: "a\n1234567890\nx\n", want: ["a", "!"] },
  { name: "too long, without an end", input: "1234567890", want: ["!"] },
  { name: "incomplete", input: "a\nb", want: ["a", "?"] },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(decodeInChunks(input, chunkBytes), want));

test("the reader can stop between two", () => {
  const decoder = new TextLineDecoder(10);
  decoder.push(Buffer.from("a\nb"));
  decoder.push(Buffer.from("c\n"));
  assert.deepEqual(decoder.next(), { kind: "line", text: "a" });
  assert.ok(decoder.hasInput);
  assert.deepEqual(decoder.next(), { kind: "line", text: "bc" });
  assert.equal(decoder.next(), undefined);
  assert.ok(!decoder.hasInput);
});

test("after a line that is too long nothing more comes, and nothing is kept", () => {
  const decoder = new TextLineDecoder(10);
  decoder.push(Buffer.from("12345"));
  assert.equal(decoder.next(), undefined);
  decoder.push(Buffer.from("67890"));
  assert.deepEqual(decoder.next(), { kind: "too-long" });
  decoder.push(Buffer.from("a\n"));
  assert.ok(!decoder.hasInput);
  assert.equal(decoder.next(), undefined);
});
