import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeText, encodeText } from "../../wire/text.ts";
import { encodeRequest, MAX_REQUEST_BYTES, RequestDecoder } from "./request.ts";

/** "!" marks malformed. */
function decodeInChunks(input: Buffer, chunkBytes: number): string[] {
  const decoder = new RequestDecoder();
  const seen: string[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    decoder.push(input.subarray(at, at + chunkBytes));
    for (let request = decoder.next(); request !== undefined; request = decoder.next())
      seen.push(request.kind === "query" ? `${request.map}|${request.key}` : `!${request.reason}`);
  }
  return seen;
}

// The first ones were seen from Postfix 3.7 and its postmap.
const cases = [
  { name: "an address", input: "22:alias list@example.com,", want: ["alias|list@example.com"] },
  { name: "a key with a blank", input: "9:alias a b,", want: ["alias|a b"] },
  { name: "an empty key", input: "6:alias ,", want: ["alias|"] },
  { name: "UTF-8", input: "23:alias \xc3\x9cser@Example.com,", want: ["alias|Üser@Example.com"] },
  { name: "the wildcard", input: "4:tr *,", want: ["tr|*"] },
  { name: "two in one segment", input: "4:tr *,15:dom example.com,", want: ["tr|*", "dom|example.com"] },
  { name: "a quoted local part", input: `28:alias "odd user"@example.com,`, want: [`alias|"odd user"@example.com`] },
  { name: "no UTF-8", input: "5:a \xfcx\xc3,", want: ["a|\udcfcx\udcc3"] },
  { name: "a key that begins with a blank", input: "4:a  b,", want: ["a| b"] },
  { name: "newlines and NUL", input: "6:a \n\0\r,,", want: ["a|\n\0\r,"] },
  { name: "no blank", input: "1:a,5:alias,4:tr *,", want: ["!no space after the map's name"] },
  { name: "nothing", input: "0:,", want: ["!no space after the map's name"] },
  { name: "another protocol", input: "4:tr *,get x\n", want: ["tr|*", "!length is not a number"] },
  { name: "too long", input: "100001:alias ", want: ["!payload exceeds 100000 bytes"] },
  { name: "incomplete", input: "22:alias list", want: [] },
];
for (const { name, input, want } of cases)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () =>
      assert.deepEqual(decodeInChunks(Buffer.from(input, "latin1"), chunkBytes), want));

test("a key of the longest kind that Postfix sends is read, whatever its bytes", () => {
  const key = "\udcff".repeat(10_000);
  assert.deepEqual(decodeInChunks(encodeRequest("alias", key), 4096), [`alias|${key}`]);
  const longest = "x".repeat(MAX_REQUEST_BYTES - "alias ".length);
  assert.deepEqual(decodeInChunks(encodeRequest("alias", longest), 65_536), [`alias|${longest}`]);
});

test("after malformed nothing more comes", () => {
  const decoder = new RequestDecoder();
  decoder.push(Buffer.from("1:a,4:tr *,"));
  assert.equal(decoder.next()?.kind, "malformed");
  decoder.push(Buffer.from("4:tr *,"));
  assert.equal(decoder.next(), undefined);
  assert.ok(!decoder.hasInput);
});

test("requests are written as Postfix writes them", () => {
  assert.equal(encodeRequest("alias", "list@example.com").toString("latin1"), "22:alias list@example.com,");
  assert.equal(encodeRequest("alias", "").toString("latin1"), "6:alias ,");
  assert.equal(encodeRequest("a", "Ü\udcfc").toString("latin1"), "5:a \xc3\x9c\xfc,");
});

test("any key arrives as it was asked, in any chunking", () => {
  const key = fc.uint8Array({ maxLength: 30 }).map((bytes) => decodeText(Buffer.from(bytes)));
  fc.assert(
    fc.property(fc.array(key, { maxLength: 4 }), fc.integer({ min: 1, max: 9 }), (keys, chunkBytes) => {
      const wire = Buffer.concat(keys.map((each) => encodeRequest("m", each)));
      assert.deepEqual(
        decodeInChunks(wire, chunkBytes),
        keys.map((each) => `m|${each}`),
      );
      for (const each of keys) assert.equal(decodeText(encodeText(each)), each);
    }),
  );
});
