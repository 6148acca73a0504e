import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { describeReply, encodeReply, reply } from "./reply.ts";
import { ReplyDecoder } from "./reply-decoder.ts";

/** "!" marks the end of all sense. */
function decodeInChunks(input: string, chunkBytes: number): string[] {
  const decoder = new ReplyDecoder();
  const seen: string[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    decoder.push(Buffer.from(input.slice(at, at + chunkBytes), "latin1"));
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
      seen.push(event.kind === "reply" ? describeReply(event.reply) : `!${event.reason.slice(0, 20)}`);
      if (event.kind === "malformed") return seen;
    }
  }
  return seen;
}

const cases = [
  { name: "one line", input: "250 2.1.5 ok\r\n", want: ["250 2.1.5 ok"] },
  { name: "no text", input: "250\r\n", want: ["250 "] },
  { name: "only an enhanced code", input: "250 2.0.0\r\n", want: ["250 2.0.0 "] },
  { name: "lines, the last with the code", input: "550-a\r\n550-b\r\n550 5.1.1 c\r\n", want: ["550 5.1.1 a b c"] },
  { name: "enhanced code of another class is text", input: "250 5.1.1 ok\r\n", want: ["250 5.1.1 ok"] },
  { name: "two replies", input: "250 a\r\n451 4.3.0 b\r\n", want: ["250 a", "451 4.3.0 b"] },
  { name: "bare LF", input: "220 x\n", want: ["220 x"] },
  { name: "8-bit text", input: "250 \xc3\xa9\r\n", want: ["250 \xc3\xa9"] },
  { name: "code out of range", input: "199 x\r\n", want: ['!not a reply: "199 x"'] },
  { name: "no code", input: "hello\r\n", want: ['!not a reply: "hello"'] },
  { name: "four digits", input: "2500 x\r\n", want: ['!not a reply: "2500 x'] },
  { name: "code changes", input: "250-a\r\n550 b\r\n", want: ["!reply changes its co"] },
  { name: "endless line", input: `250 ${"x".repeat(5000)}\r\n`, want: ["!reply line over 4096"] },
  { name: "endless reply", input: "250-x\r\n".repeat(200), want: ["!reply of more than 1"] },
  { name: "incomplete", input: "250-a\r\n250 b", want: [] },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(decodeInChunks(input, chunkBytes), want));

test("every line of a reply carries the enhanced code", () => {
  assert.equal(encodeReply(reply(550, "5.1.1", "one", "two")), "550-5.1.1 one\r\n550 5.1.1 two\r\n");
  assert.equal(encodeReply(reply(250, undefined, "one", "two")), "250-one\r\n250 two\r\n");
  assert.equal(encodeReply(reply(354, undefined, "go")), "354 go\r\n");
});

test("what is encoded is decoded the same", () => {
  const text = fc.string({ unit: fc.constantFrom("a", " ", "-", ".", "5", "\xe9"), maxLength: 20 });
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 599 }),
      fc.array(text, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 9 }),
      (code, lines, chunkBytes) => {
        const enhanced = `${Math.floor(code / 100)}.1.23`;
        fc.pre(code < 300 || code >= 400);
        const [first = "", ...others] = lines;
        const bytes = Buffer.from(
          encodeReply(reply(code, enhanced, `x${first}`, ...others.map((line) => `x${line}`))),
          "latin1",
        );
        const decoder = new ReplyDecoder();
        const seen: unknown[] = [];
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          decoder.push(bytes.subarray(at, at + chunkBytes));
          for (let event = decoder.next(); event !== undefined; event = decoder.next()) seen.push(event);
        }
        assert.deepEqual(seen, [{ kind: "reply", reply: { code, enhanced, lines: lines.map((line) => `x${line}`) } }]);
      },
    ),
  );
});
