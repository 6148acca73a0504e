import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandDecoder, MAX_LINE_BYTES } from "./command-decoder.ts";
import type { DictCommand } from "./command.ts";

function decodeInChunks(input: string, chunkBytes: number): DictCommand[] {
  const decoder = new CommandDecoder();
  const seen: DictCommand[] = [];
  for (let at = 0; at < input.length; at += chunkBytes) {
    decoder.push(Buffer.from(input.slice(at, at + chunkBytes), "latin1"));
    for (let command = decoder.next(); command !== undefined; command = decoder.next()) seen.push(command);
  }
  return seen;
}

function hello(major: number, minor: number, user: string, dictName: string, valueType = 0): DictCommand {
  return { kind: "hello", major, minor, valueType, user, dictName };
}

/** The handshakes of the four dialects, and what they say. */
const V2 = { line: "H2\t2\t0\tbob\tmydict\n", hello: hello(2, 2, "bob", "mydict") };
const V3 = { line: "H3\t2\t0\t\tmydict\n", hello: hello(3, 2, "", "mydict") };
const V4 = { line: "H4\t0\t0\t\tmydict\n", hello: hello(4, 0, "", "mydict") };

const dialogs: { name: string; input: string; want: DictCommand[] }[] = [
  {
    name: "2.2.13: iterations have no limit",
    input: "H2\t0\t0\tbob\tquota\nI1\tpriv/a/\tshared/b/\nI1\tpriv/a/\n",
    want: [
      hello(2, 0, "bob", "quota"),
      { kind: "iterate", flags: 1, maxRows: 0, paths: ["priv/a/", "shared/b/"], user: "bob" },
      { kind: "iterate", flags: 1, maxRows: 0, paths: ["priv/a/"], user: "bob" },
    ],
  },
  {
    name: "2.2.36: the handshake's user holds for all",
    input: `${V2.line}Lpriv/quota/storage\nI0\t10\tpriv/a/\tpriv/b/\nB1\nS1\tpriv/k\tv\nP1\tpriv/k\tw\nT1\t1700000000\t5\nC1\nB2\nR2\n`,
    want: [
      V2.hello,
      { kind: "lookup", key: "priv/quota/storage", user: "bob" },
      { kind: "iterate", flags: 0, maxRows: 10, paths: ["priv/a/", "priv/b/"], user: "bob" },
      { kind: "begin", id: 1, user: "bob", expireSeconds: 0 },
      { kind: "set", id: 1, key: "priv/k", value: "v" },
      { kind: "append", id: 1, key: "priv/k", value: "w" },
      { kind: "timestamp", id: 1, seconds: 1_700_000_000, nanoseconds: 5 },
      { kind: "commit", id: 1, isAsync: false },
      { kind: "begin", id: 2, user: "bob", expireSeconds: 0 },
      { kind: "rollback", id: 2 },
    ],
  },
  {
    name: "2.3.0 to 2.3.16: user and name are not escaped, keys are",
    input: "H2\t2\t1\tb\x01tb\tname\x011\nLpriv/\x01t\n",
    want: [hello(2, 2, "b\x01tb", "name\x011", 1), { kind: "lookup", key: "priv/\t", user: "b\x01tb" }],
  },
  {
    name: "2.3.19, as doveadm sent it",
    input: `${V3.line}B1\tbob\nS1\tpriv/z\ta\x01tb\nC1\n`,
    want: [
      V3.hello,
      { kind: "begin", id: 1, user: "bob", expireSeconds: 0 },
      { kind: "set", id: 1, key: "priv/z", value: "a\tb" },
      { kind: "commit", id: 1, isAsync: false },
    ],
  },
  {
    name: "2.3.19, as auth, METADATA and last_login sent it",
    input:
      "H3\t2\t0\t\tauth\nLshared/passdb/user1@example.com\tuser1@example.com\nI0\t0\tshared/userdb/\t*\nI9\t0\tpriv/x/\tu@d\nLshared/a\t\nD3\nV1\tyes\nV1\tno\nA1\tpriv/quota/storage\t-12\n",
    want: [
      hello(3, 2, "", "auth"),
      { kind: "lookup", key: "shared/passdb/user1@example.com", user: "user1@example.com" },
      { kind: "iterate", flags: 0, maxRows: 0, paths: ["shared/userdb/"], user: "*" },
      { kind: "iterate", flags: 9, maxRows: 0, paths: ["priv/x/"], user: "u@d" },
      { kind: "lookup", key: "shared/a", user: "" },
      { kind: "commit", id: 3, isAsync: true },
      { kind: "hide-log-values", id: 1, isHiding: true },
      { kind: "hide-log-values", id: 1, isHiding: false },
      { kind: "increment", id: 1, key: "priv/quota/storage", by: -12n },
    ],
  },
  {
    name: "2.4: a transaction in one write, with an expiry",
    input: `${V4.line}B7\tbob@example.com\t3600\nU7\tpriv/quota/storage\nS7\tpriv/quota/storage\t4096\nC7\n`,
    want: [
      V4.hello,
      { kind: "begin", id: 7, user: "bob@example.com", expireSeconds: 3600 },
      { kind: "unset", id: 7, key: "priv/quota/storage" },
      { kind: "set", id: 7, key: "priv/quota/storage", value: "4096" },
      { kind: "commit", id: 7, isAsync: false },
    ],
  },
  {
    name: "an escaped name and user in major 3",
    input: "H3\t2\t0\t\tmy\x01tdict\nLpriv/a\tb\x01nb\n",
    want: [hello(3, 2, "", "my\tdict"), { kind: "lookup", key: "priv/a", user: "b\nb" }],
  },
  {
    name: "fields to come are ignored, users that are missing are none",
    input: `H4\t7\t0\t\tx\tmore\nLshared/a\nLshared/a\tu\tmore\nI0\t0\tshared/\nI0\t0\tshared/\tu\tmore\nB1\nB2\tu\t5\tmore\nS1\tshared/a\tv\tmore\nC1\tmore\n`,
    want: [
      hello(4, 7, "", "x"),
      { kind: "lookup", key: "shared/a", user: "" },
      { kind: "lookup", key: "shared/a", user: "u" },
      { kind: "iterate", flags: 0, maxRows: 0, paths: ["shared/"], user: "" },
      { kind: "iterate", flags: 0, maxRows: 0, paths: ["shared/"], user: "u" },
      { kind: "begin", id: 1, user: "", expireSeconds: 0 },
      { kind: "begin", id: 2, user: "u", expireSeconds: 5 },
      { kind: "set", id: 1, key: "shared/a", value: "v" },
      { kind: "commit", id: 1, isAsync: false },
    ],
  },
  {
    name: "any bytes in keys and values",
    input: `${V3.line}Lshared/\xfc\xc3\x9c\t\nS1\tshared/a\t\x010\x011\x01t\x01r\x01n\x01x\xff\r\x01\nS1\tshared/a\t\n`,
    want: [
      V3.hello,
      { kind: "lookup", key: "shared/\udcfcÜ", user: "" },
      { kind: "set", id: 1, key: "shared/a", value: "\0\x01\t\r\nx\udcff\r" },
      { kind: "set", id: 1, key: "shared/a", value: "" },
    ],
  },
  {
    name: "the largest numbers",
    input: `${V3.line}A4294967295\tpriv/a\t9223372036854775807\nA0\tpriv/a\t-9223372036854775808\nI63\t18446744073709551615\tpriv/\tu\nT1\t-1\t999999999\n`,
    want: [
      V3.hello,
      { kind: "increment", id: 4_294_967_295, key: "priv/a", by: 9_223_372_036_854_775_807n },
      { kind: "increment", id: 0, key: "priv/a", by: -9_223_372_036_854_775_808n },
      { kind: "iterate", flags: 63, maxRows: 2 ** 64, paths: ["priv/"], user: "u" },
      { kind: "timestamp", id: 1, seconds: -1, nanoseconds: 999_999_999 },
    ],
  },
];
for (const { name, input, want } of dialogs)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(decodeInChunks(input, chunkBytes), want));

const faults: { line: string; reason: string }[] = [
  { line: "", reason: "an empty line" },
  { line: "X1", reason: 'unknown command "X"' },
  { line: "lshared/a", reason: 'unknown command "l"' },
  { line: "\xc3\x9c", reason: 'unknown command "Ü"' },
  { line: "H3\t2\t0\t\tmydict", reason: "a second handshake" },
  { line: "I", reason: "ITERATE without flags" },
  { line: "I-1\t0\tshared/\t", reason: "ITERATE without flags" },
  { line: "I0\tshared/\t", reason: "ITERATE without a limit" },
  { line: "I0\t0", reason: "ITERATE without a path" },
  { line: "B", reason: "BEGIN without a transaction id" },
  { line: "Bx\t", reason: "BEGIN without a transaction id" },
  { line: "B4294967296\t", reason: "BEGIN without a transaction id" },
  { line: "B-1\t", reason: "BEGIN without a transaction id" },
  { line: "B1\t\tsoon", reason: "BEGIN with a broken expiry" },
  { line: "S1\tshared/a", reason: "broken command S" },
  { line: "Sx\tshared/a\tb", reason: "broken command S" },
  { line: "P1\tshared/a", reason: "broken command P" },
  { line: "U1", reason: "broken command U" },
  { line: "A1\tshared/a", reason: "broken command A" },
  { line: "A1\tshared/a\t1.5", reason: "broken command A" },
  { line: "A1\tshared/a\t9223372036854775808", reason: "broken command A" },
  { line: "A1\tshared/a\t-9223372036854775809", reason: "broken command A" },
  { line: "T1\t1", reason: "broken command T" },
  { line: "V1\tmaybe", reason: "broken command V" },
  { line: "C", reason: "broken command C" },
  { line: "D ", reason: "broken command D" },
  { line: "R1 ", reason: "broken command R" },
];
for (const { line, reason } of faults)
  for (const chunkBytes of [1, 3, 1000])
    test(`${JSON.stringify(line)} is the last that is read, ${chunkBytes} at a time`, () =>
      assert.deepEqual(decodeInChunks(`${V4.line}Lshared/a\t\n${line}\nLshared/b\t\n`, chunkBytes), [
        V4.hello,
        { kind: "lookup", key: "shared/a", user: "" },
        { kind: "malformed", reason },
      ]));

const brokenHandshakes = [
  "H",
  "Hx\t2\t0\t\tmydict",
  "H3",
  "H3\t2\t0\t",
  "H3\t\t0\t\tx",
  "H3\t2\tstring\t\tx",
  "H-3\t2\t0\t\tx",
];
for (const line of brokenHandshakes)
  test(`${JSON.stringify(line)} is no handshake`, () =>
    assert.deepEqual(decodeInChunks(`${line}\n`, 100), [{ kind: "malformed", reason: "broken handshake" }]));

test("nothing goes before the handshake", () => {
  const want = [{ kind: "malformed", reason: "a command before the handshake" }];
  assert.deepEqual(decodeInChunks("Lshared/a\t\n", 100), want);
  assert.deepEqual(decodeInChunks("\n", 100), want);
});

test("a value of a megabyte is read, a longer line is not", () => {
  const start = "S1\tshared/a\t";
  const value = "x".repeat(MAX_LINE_BYTES - start.length - 1);
  const seen = decodeInChunks(`${V3.line}${start}${value}\n${start}${value}x\nLshared/a\t\n`, 65_536);
  assert.deepEqual(seen, [
    V3.hello,
    { kind: "set", id: 1, key: "shared/a", value },
    { kind: "malformed", reason: "line exceeds 1048576 bytes" },
  ]);
});

test("after malformed nothing is kept", () => {
  const decoder = new CommandDecoder();
  decoder.push(Buffer.from(`${V3.line}X\nLshared/a\t\n`));
  assert.equal(decoder.next()?.kind, "hello");
  assert.equal(decoder.next()?.kind, "malformed");
  decoder.push(Buffer.from("Lshared/a\t\n"));
  assert.equal(decoder.next(), undefined);
  assert.ok(!decoder.hasInput);
});
