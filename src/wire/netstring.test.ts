import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeNetstring, encodeNetstringAsLatin1, NetstringDecoder } from "./netstring.ts";

/** "!" marks malformed, "?" bytes that wait for more. Each chunk is wiped once it was read, as a reused buffer would be. */
function decodeInChunks(input: Buffer, chunkBytes: number, maxPayloadBytes = 9): string[] {
  const decoder = new NetstringDecoder(maxPayloadBytes);
  const seen: string[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    const chunk = Buffer.from(input.subarray(at, at + chunkBytes));
    decoder.push(chunk);
    for (let event = decoder.next(); event !== undefined; event = decoder.next())
      seen.push(event.kind === "payload" ? event.bytes.toString("latin1") : `!${event.reason}`);
    chunk.fill("#");
  }
  if (decoder.hasInput) seen.push("?");
  return seen;
}

const cases = [
  { name: "one", input: "3:a b,", want: ["a b"] },
  { name: "two in one segment", input: "1:a,1:b,", want: ["a", "b"] },
  { name: "empty", input: "0:,1:a,", want: ["", "a"] },
  { name: "as long as allowed", input: "9:123456789,", want: ["123456789"] },
  { name: "any bytes", input: "9:\0\n\r,:\x80\xff9:,", want: ["\0\n\r,:\x80\xff9:"] },
  { name: "cut in the payload", input: "5:a k", want: ["?"] },
  { name: "cut before the comma", input: "3:a k", want: ["?"] },
  { name: "cut in the length", input: "1:a,1", want: ["a", "?"] },
  { name: "good one answered before the bad", input: "1:a,x1:b,", want: ["a", "!length is not a number"] },
  { name: "newline between", input: "1:a,\n1:b,", want: ["a", "!length is not a number"] },
  { name: "negative", input: "-1:", want: ["!length is not a number"] },
  { name: "blank before the colon", input: "1 :a,", want: ["!length is not a number"] },
  { name: "no length", input: ":a,", want: ["!no length before the colon"] },
  { name: "leading zero", input: "01:a,", want: ["!length has a leading zero"] },
  { name: "two zeros", input: "00:,", want: ["!length has a leading zero"] },
  { name: "over the limit", input: "10:1234567890,", want: ["!payload exceeds 9 bytes"] },
  { name: "ten digits over the limit", input: "9999999999:", want: ["!payload exceeds 9 bytes"] },
  { name: "eleven digits", input: "99999999999:", want: ["!length has more than 10 digits"] },
  { name: "no comma", input: "1:ab,1:c,", want: ["!no comma after payload"] },
  { name: "length short by one", input: "2:a,1:b,", want: ["!no comma after payload"] },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () =>
      assert.deepEqual(decodeInChunks(Buffer.from(input, "latin1"), chunkBytes), want));

test("the reader can stop between two", () => {
  const decoder = new NetstringDecoder(9);
  decoder.push(Buffer.from("1:a,1:"));
  decoder.push(Buffer.alloc(0));
  decoder.push(Buffer.from("b,"));
  assert.equal(decoder.next()?.kind, "payload");
  assert.ok(decoder.hasInput);
  assert.deepEqual(decoder.next(), { kind: "payload", bytes: Buffer.from("b") });
  assert.equal(decoder.next(), undefined);
  assert.ok(!decoder.hasInput);
});

test("after malformed nothing more comes, and nothing is kept", () => {
  const decoder = new NetstringDecoder(9);
  decoder.push(Buffer.from("1:a"));
  decoder.push(Buffer.from("b"));
  assert.equal(decoder.next()?.kind, "malformed");
  decoder.push(Buffer.from("1:a,"));
  assert.ok(!decoder.hasInput);
  assert.equal(decoder.next(), undefined);
});

test("chunks that wait are read in order", () => {
  const decoder = new NetstringDecoder(9);
  for (const byte of Buffer.from("1:a,5:alias,0:,1:b,")) decoder.push(Buffer.of(byte));
  const seen: string[] = [];
  for (let event = decoder.next(); event !== undefined; event = decoder.next())
    seen.push(event.kind === "payload" ? event.bytes.toString() : event.reason);
  assert.deepEqual(seen, ["a", "alias", "", "b"]);
});

test("a whole payload is given on without a copy", () => {
  const chunk = Buffer.alloc(8, "5:alias,"); // alloc: of no pool that a copy could come from, too
  const decoder = new NetstringDecoder(9);
  decoder.push(chunk);
  const event = decoder.next();
  assert.ok(event?.kind === "payload");
  assert.equal(event.bytes.buffer, chunk.buffer);
});

test("a payload given out stays as it is when the next one comes", () => {
  const decoder = new NetstringDecoder(9);
  const payloads: Buffer[] = [];
  for (const piece of ["5:al", "ias,5:", "box", "es,"]) {
    decoder.push(Buffer.from(piece));
    const event = decoder.next();
    if (event?.kind === "payload") payloads.push(event.bytes);
  }
  assert.deepEqual(payloads.map(String), ["alias", "boxes"]);
});

test("100 kB come through byte by byte, copied a few times only, and no chunk is kept for it", (t) => {
  const payload = Buffer.alloc(100_000, "0123456789");
  const allocations = t.mock.method(Buffer, "allocUnsafe");
  const joins = t.mock.method(Buffer, "concat");
  const wire = encodeNetstring(payload);
  allocations.mock.resetCalls();
  joins.mock.resetCalls();
  assert.deepEqual(decodeInChunks(wire, 1, 100_000), [payload.toString()]);
  assert.ok(allocations.mock.callCount() < 20);
  assert.equal(joins.mock.callCount(), 0);
});

test("a part of a large payload costs about what came of it", () => {
  const decoder = new NetstringDecoder(100_000_000);
  const before = process.memoryUsage().arrayBuffers;
  decoder.push(Buffer.from("99999999:abc"));
  assert.equal(decoder.next(), undefined);
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});

test("encoding counts bytes", () => {
  assert.equal(encodeNetstring("NOTFOUND ").toString("latin1"), "9:NOTFOUND ,");
  assert.equal(encodeNetstring("").toString("latin1"), "0:,");
  assert.equal(encodeNetstring("Ü").toString("latin1"), "2:\xc3\x9c,");
  assert.equal(encodeNetstring("a\udcfc").toString("latin1"), "2:a\xfc,");
  assert.equal(encodeNetstring(Buffer.from([0, 255])).toString("latin1"), "2:\0\xff,");
  assert.equal(encodeNetstringAsLatin1("NOTFOUND "), "9:NOTFOUND ,");
  assert.equal(encodeNetstringAsLatin1("Üa\udcfc"), "4:\xc3\x9ca\xfc,");
});

test("what is encoded is decoded, in any chunking", () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 5 });
  fc.assert(
    fc.property(payloads, fc.integer({ min: 1, max: 9 }), (payloads, chunkBytes) => {
      const wire = Buffer.concat(payloads.map((payload) => encodeNetstring(Buffer.from(payload))));
      const want = payloads.map((payload) => Buffer.from(payload).toString("latin1"));
      assert.deepEqual(decodeInChunks(wire, chunkBytes, 20), want);
    }),
  );
});

test("garbage reads the same in any chunking", () => {
  const garbage = fc.array(fc.constantFrom("0", "1", "3", "9", ":", ",", "a", "\0", "1:a,", "2:", "0:,"));
  fc.assert(
    fc.property(garbage, fc.integer({ min: 1, max: 9 }), (parts, chunkBytes) => {
      const input = Buffer.from(parts.join(""));
      assert.deepEqual(decodeInChunks(input, chunkBytes), decodeInChunks(input, input.length + 1));
    }),
    { numRuns: 3000 },
  );
});
