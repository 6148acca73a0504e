import assert from "node:assert/strict";
import { test } from "node:test";
import { LineDecoder } from "./line-decoder.ts";

/** "!" marks a line that was too long; what follows the last line comes last, after "|". */
function decodeInChunks(input: string, chunkBytes: number): string[] {
  const decoder = new LineDecoder(10);
  const seen: string[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    decoder.push(Buffer.from(input.slice(at, at + chunkBytes), "latin1"));
    for (let line = decoder.next(); line !== undefined; line = decoder.next())
      seen.push(line.kind === "line" ? line.text : "!");
  }
  return seen;
}

const cases = [
  { name: "two lines", input: "NOOP\r\nQUIT\r\n", want: ["NOOP", "QUIT"] },
  { name: "bare LF", input: "NOOP\nQUIT\n", want: ["NOOP", "QUIT"] },
  { name: "empty line", input: "\r\n\n", want: ["", ""] },
  { name: "8-bit", input: "\xc3\xa9\r\n", want: ["\xc3\xa9"] },
  { name: "bare CR stays in the line", input: "a\rb\r\n", want: ["a\rb"] },
  { name: "as long as allowed", input: "12345678\r\nx\r\n", want: ["12345678", "x"] },
  { name: "too long, then in step", input: "123456789\r\nx\r\n", want: ["!", "x"] },
  { name: "much too long", input: `${"y".repeat(50)}\r\nx\r\n`, want: ["!", "x"] },
  { name: "incomplete", input: "NOO", want: [] },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(decodeInChunks(input, chunkBytes), want));

test("the reader can stop after a line and take what follows", () => {
  const decoder = new LineDecoder(100);
  decoder.push(Buffer.from("DATA\r\nSubject: "));
  decoder.push(Buffer.from("x\r\n"));
  assert.deepEqual(decoder.next(), { kind: "line", text: "DATA" });
  assert.equal(decoder.take()?.toString(), "Subject: ");
  assert.equal(decoder.take()?.toString(), "x\r\n");
  assert.equal(decoder.take(), undefined);
  assert.equal(decoder.hasInput, false);
  decoder.push(Buffer.from("RSET\r\n"));
  decoder.unread(Buffer.from("QUIT\r\n"));
  assert.deepEqual(decoder.next(), { kind: "line", text: "QUIT" });
  assert.deepEqual(decoder.next(), { kind: "line", text: "RSET" });
});

// Text is decoded 512 bytes at a time: lines end before, at and behind that mark, and one is longer.
for (const lengths of [
  [510],
  [511, 3],
  [512, 0],
  [500, 20, 1],
  [600, 5],
  Array.from({ length: 200 }, (_, at) => at % 37),
])
  for (const chunkBytes of [511, 512, 513, 100_000])
    test(`lines of ${lengths.slice(0, 4).join(", ")} … bytes, ${chunkBytes} at a time`, () => {
      const lines = lengths.map((length, at) => String.fromCharCode(0x41 + (at % 26)).repeat(length));
      const input = lines.map((line) => `${line}\r\n`).join("");
      const decoder = new LineDecoder(4096);
      const seen: string[] = [];
      for (let at = 0; at < input.length; at += chunkBytes) {
        decoder.push(Buffer.from(input.slice(at, at + chunkBytes), "latin1"));
        for (let line = decoder.next(); line?.kind === "line"; line = decoder.next()) seen.push(line.text);
      }
      assert.deepEqual(seen, lines);
    });
