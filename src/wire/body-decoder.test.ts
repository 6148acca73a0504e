import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BodyDecoder } from "./body-decoder.ts";

interface Outcome {
  readonly out: string;
  readonly rest: string | undefined;
  readonly bare: boolean;
  readonly contentBytes: number;
}

/** `rest` is undefined while the message has no end, else the input after it. */
function decodeInChunks(input: string, chunkBytes: number): Outcome {
  const decoder = new BodyDecoder("dots");
  let out = "";
  for (let at = 0; at < input.length; at += chunkBytes) {
    const part = decoder.feed(Buffer.from(input.slice(at, at + chunkBytes), "latin1"));
    out += part.pieces.map((piece) => piece.toString("latin1")).join("");
    if (part.isEnd) {
      const rest = (part.rest?.toString("latin1") ?? "") + input.slice(at + chunkBytes);
      return { out, rest, bare: decoder.hasBareNewline, contentBytes: decoder.contentBytes };
    }
  }
  return { out, rest: undefined, bare: decoder.hasBareNewline, contentBytes: decoder.contentBytes };
}

const cases = [
  { name: "empty message", input: ".\r\nQUIT\r\n", out: "", rest: "QUIT\r\n", bare: false, contentBytes: 0 },
  { name: "one line", input: "a\r\n.\r\n", out: "a\r\n", rest: "", bare: false, contentBytes: 3 },
  {
    name: "stuffed dots pass",
    input: "..\r\n..b\r\n.\r\n",
    out: "..\r\n..b\r\n",
    rest: "",
    bare: false,
    contentBytes: 7,
  },
  { name: "unstuffed dot line passes", input: ".a\r\n.\r\n", out: ".a\r\n", rest: "", bare: false, contentBytes: 3 },
  { name: "dot within a line", input: "a.\r\n.\r\n", out: "a.\r\n", rest: "", bare: false, contentBytes: 4 },
  { name: "NUL passes", input: "a\0b\r\n.\r\n", out: "a\0b\r\n", rest: "", bare: false, contentBytes: 5 },
  {
    name: "LF.LF is no end",
    input: "a\n.\nb\r\n.\r\n",
    out: "a\r\n..\r\nb\r\n",
    rest: "",
    bare: true,
    contentBytes: 9,
  },
  {
    name: "LF.CRLF is no end",
    input: "a\n.\r\nb\r\n.\r\n",
    out: "a\r\n..\r\nb\r\n",
    rest: "",
    bare: true,
    contentBytes: 9,
  },
  {
    name: "CRLF.LF is no end",
    input: "a\r\n.\nb\r\n.\r\n",
    out: "a\r\n\r\nb\r\n",
    rest: "",
    bare: true,
    contentBytes: 8,
  },
  {
    name: "CRLF.CR is no end",
    input: "a\r\n.\rb\r\n.\r\n",
    out: "a\r\n. b\r\n",
    rest: "",
    bare: true,
    contentBytes: 7,
  },
  { name: "CR.CR is no end", input: "a\r.\rb\r\n.\r\n", out: "a . b\r\n", rest: "", bare: true, contentBytes: 7 },
  { name: "CR CR LF", input: "a\r\r\n.\r\n", out: "a \r\n", rest: "", bare: true, contentBytes: 4 },
  { name: "dot CR CR LF", input: ".\r\r\n.\r\n", out: ". \r\n", rest: "", bare: true, contentBytes: 3 },
  { name: "LF first", input: "\n.x\r\n.\r\n", out: "\r\n..x\r\n", rest: "", bare: true, contentBytes: 6 },
  { name: "LF LF .", input: "\n\n.\r\n.\r\n", out: "\r\n\r\n..\r\n", rest: "", bare: true, contentBytes: 7 },
  {
    name: "stuffing resumes after CRLF",
    input: "a\nb\r\n..c\r\n.\r\n",
    out: "a\r\nb\r\n..c\r\n",
    rest: "",
    bare: true,
    contentBytes: 10,
  },
  { name: "no end yet", input: "a\r\n", out: "a\r\n", rest: undefined, bare: false, contentBytes: 3 },
  {
    name: "dot CR at the end stays open",
    input: "a\r\n.\r",
    out: "a\r\n",
    rest: undefined,
    bare: false,
    contentBytes: 3,
  },
  { name: "second message stays", input: ".\r\n.\r\n", out: "", rest: ".\r\n", bare: false, contentBytes: 0 },
];
for (const { name, input, ...want } of cases)
  for (const chunkBytes of [1, 2, 3, 4, 5, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(decodeInChunks(input, chunkBytes), want));

test("a clean message is given on without a copy", () => {
  const chunk = Buffer.from("one\r\ntwo\r\n");
  const part = new BodyDecoder("dots").feed(chunk);
  assert.equal(part.pieces.length, 1);
  assert.equal(part.pieces[0]?.buffer, chunk.buffer);
});

/** What a strict receiver makes of what we send, our final dot added. */
function receive(stuffed: string): string {
  assert.ok(!/\r(?!\n)|(?<!\r)\n/.test(stuffed), "a bare CR or LF went out");
  const wire = `${stuffed}.\r\n`;
  const end = `\r\n${wire}`.indexOf("\r\n.\r\n");
  assert.equal(end, wire.length - 3, "the message ends early or late");
  return `\r\n${stuffed}`.replaceAll("\r\n.", "\r\n").slice(2);
}

/** The rule said plainly: take the stuffing off at the sender's line starts, then mend bare line ends. */
function normalized(input: string): string {
  const lines = input.split("\r\n").map((line) => (line.startsWith(".") ? line.slice(1) : line));
  return lines.map((line) => line.replaceAll("\r", " ").replaceAll("\n", "\r\n")).join("\r\n");
}

const nastyText = fc
  .array(fc.constantFrom("\r", "\n", ".", "\r\n", "\r\n.", "a", "\n."), { maxLength: 24 })
  .map((parts) => parts.join(""));

test("any content in any chunking reads the same at a strict store", () => {
  fc.assert(
    fc.property(nastyText, fc.integer({ min: 1, max: 7 }), (content, chunkBytes) => {
      const input = `${content}\r\n`;
      fc.pre(!`\r\n${input}`.includes("\r\n.\r\n"));
      const outcome = decodeInChunks(`${input}.\r\nRSET\r\n`, chunkBytes);
      assert.equal(outcome.rest, "RSET\r\n");
      assert.equal(receive(outcome.out), normalized(input));
      assert.equal(outcome.contentBytes, normalized(input).length);
    }),
    { numRuns: 5000 },
  );
});

test("BDAT content reads the same at a strict store", () => {
  fc.assert(
    fc.property(nastyText, fc.integer({ min: 1, max: 7 }), (content, chunkBytes) => {
      const decoder = new BodyDecoder("octets");
      let out = "";
      for (let at = 0; at < content.length; at += chunkBytes)
        out += Buffer.concat(decoder.feed(Buffer.from(content.slice(at, at + chunkBytes))).pieces).toString();
      out += decoder.finish().toString();
      const mended = content
        .split("\r\n")
        .map((line) => line.replaceAll("\r", " ").replaceAll("\n", "\r\n"))
        .join("\r\n");
      const want = mended === "" || mended.endsWith("\r\n") ? mended : `${mended}\r\n`;
      assert.equal(receive(out), want);
      assert.equal(decoder.contentBytes, want.length);
    }),
    { numRuns: 5000 },
  );
});
