import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { startDnsServer } from "../../../test/support/dns-server.ts";
import type { DnsAnswer, DnsQuestion, DnsRecord } from "../../../test/support/dns-server.ts";
import { a, aaaa, asked, mx, openDnsTable, txt } from "../../../test/support/dns-table.ts";
import type { Zone } from "../../../test/support/dns-table.ts";
import { faultsOf, openType } from "../../../test/support/open-type.ts";
import type { RawOptions } from "../../../test/support/open-type.ts";
import { ODD_KEYS, testTableContract } from "../../../test/support/table-contract.ts";
import type { Answer } from "../table.ts";
import { DNS } from "./dns-table.ts";

const ABSENT: Answer = { kind: "absent" };
const found = (value: string): Answer => ({ kind: "found", value });

testTableContract({
  name: "dns",
  type: DNS,
  entries: new Map([
    ["one.example", "first"],
    ["two.example", "second"],
  ]),
  absentKey: "absent.example",
  async start(t, entries) {
    const server = await startDnsServer(t, ({ name }) => {
      const value = entries.get(name);
      return value === undefined ? "NXDOMAIN" : [txt(value)];
    });
    return {
      options: { query: "txt", servers: [server.address] },
      break: () => server.stop(),
      repair: () => server.start(),
    };
  },
});

const OURS = { query: "mx", names: ["MX1.ours.example.", "mx2.ours.example"] };
const OUR_ADDRESSES = { query: "mx", addresses: ["192.0.2.1", "2001:DB8:0::1"] };

test("TXT records are joined from their strings, each one a result", async (t) => {
  const binary: DnsRecord = { type: "TXT", strings: [Buffer.from([0x61, 0xff]), Buffer.from("ü")] };
  const { lookup } = await openDnsTable(
    t,
    { query: "txt" },
    {
      "one.example": { TXT: [txt("v=spf1", " -all")] },
      "_two.example": { TXT: [txt("a"), txt("b,c")] },
      "binary.example": { TXT: [binary] },
      "long.example": { TXT: Array.from({ length: 10 }, () => txt("x".repeat(255), "y".repeat(255))) },
      "none.example": { A: [a("192.0.2.1")] },
    },
  );
  assert.deepEqual(await lookup("one.example"), found("v=spf1 -all"));
  assert.deepEqual(await lookup("_two.example"), { kind: "found", value: "a,b,c", values: ["a", "b,c"] });
  assert.deepEqual(await lookup("binary.example"), found("a\udcffü"));
  const long = await lookup("long.example");
  assert.ok(long.kind === "found");
  assert.equal(long.value.length, 10 * 510 + 9);
  assert.deepEqual(await lookup("none.example"), ABSENT);
});

test("addresses are those of both families, and all of them or none", async (t) => {
  const { lookup } = await openDnsTable(
    t,
    { query: "a" },
    {
      "both.example": { A: [a("192.0.2.1"), a("192.0.2.2")], AAAA: [aaaa("2001:db8::1")] },
      "v6.example": { AAAA: [aaaa("2001:db8::1")] },
      "half.example": { A: [a("192.0.2.1")], AAAA: "SERVFAIL" },
      "none.example": { MX: [mx(10, "a.example")] },
    },
  );
  const values = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
  assert.deepEqual(await lookup("both.example"), { kind: "found", value: values.join(","), values });
  assert.deepEqual(await lookup("v6.example"), found("2001:db8::1"));
  assert.deepEqual(await lookup("half.example"), { kind: "failed", reason: "DNS, AAAA of half.example: ESERVFAIL" });
  assert.deepEqual(await lookup("none.example"), ABSENT);
  assert.deepEqual(await lookup("nobody.example"), ABSENT);
});

test("what is no name is absent, and nobody is asked; a name of other letters is asked as it is written in DNS", async (t) => {
  const { lookup, server } = await openDnsTable(
    t,
    { query: "txt" },
    { "xn--bcher-kva.example": { TXT: [txt("books")] } },
  );
  for (const key of [
    "user@example.com",
    "",
    ".",
    "192.0.2.1",
    "a b",
    ...ODD_KEYS.filter((key) => /[^a-z_§-]/.test(key)),
  ])
    assert.deepEqual(await lookup(key), ABSENT, key);
  assert.deepEqual(asked(server), []);
  assert.deepEqual(await lookup("Bücher.example"), found("books"));
});

for (const [answer, code, scope] of [
  ["SERVFAIL", "ESERVFAIL", undefined],
  ["FORMERR", "EFORMERR", undefined],
  ["NOTIMP", "ENOTIMP", "source"],
  ["REFUSED", "EREFUSED", "source"],
] as const)
  test(`${answer} is failed`, async (t) => {
    for (const query of ["mx", "txt", "a"]) {
      const options = query === "mx" ? OURS : { query };
      const types = { MX: answer, TXT: answer, A: answer, AAAA: answer };
      const { lookup } = await openDnsTable(t, options, { "one.example": types });
      const failed = await lookup("one.example");
      assert.ok(failed.kind === "failed", JSON.stringify(failed));
      assert.equal(failed.scope, scope);
      assert.ok(failed.reason.endsWith(code), failed.reason);
    }
  });

test("a server that is not there is failed", async (t) => {
  const { lookup, server } = await openDnsTable(t, { query: "txt" }, {});
  await server.stop();
  const answer = await lookup("one.example");
  assert.ok(answer.kind === "failed" && answer.scope === "source", JSON.stringify(answer));
});

test("who gives up is not left waiting for a silent server, and no question stays under way", async (t) => {
  for (const options of [OURS, OUR_ADDRESSES, { query: "txt" }, { query: "a" }]) {
    const silent: Zone = { "one.example": { MX: "silence", TXT: "silence", A: "silence", AAAA: "silence" } };
    const { lookup, server } = await openDnsTable(t, options, silent);
    const aborter = new AbortController();
    const answer = lookup("one.example", aborter.signal);
    while (server.questions.length === 0) await new Promise(setImmediate);
    aborter.abort();
    const failed = await answer;
    assert.ok(failed.kind === "failed" && failed.scope === "source", JSON.stringify(failed));
  }
  const { lookup } = await openDnsTable(t, { query: "txt" }, {});
  const given = AbortSignal.abort(new Error("given up"));
  await assert.rejects(lookup("one.example", given), { message: "given up" });
});

test("an answer too long for UDP is failed where TCP gives none", async (t) => {
  const truncated = Buffer.from([0x83, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]);
  const server = await startDnsServer(t, ({ transport }) => (transport === "udp" ? truncated : "SERVFAIL"));
  const { source } = openType(DNS, { query: "txt", servers: [server.address] });
  assert.equal((await source.lookup("one.example", new AbortController().signal)).kind, "failed");
});

/** A good answer for MX of `one.example`, behind its id. */
const GOOD = Buffer.concat([
  Buffer.from([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]),
  Buffer.from("\x03one\x07example\0\0\x0f\0\x01", "latin1"),
  Buffer.from([0xc0, 0x0c, 0, 15, 0, 1, 0, 0, 0, 0, 0, 8, 0, 10]),
  Buffer.from("\x01m\x02hu\0", "latin1"),
]);

test("a broken answer is never absent", async (t) => {
  let answer: DnsAnswer = [];
  const server = await startDnsServer(t, (_question: DnsQuestion) => answer);
  const { source } = openType(DNS, { query: "mx", names: ["m.hu"], servers: [server.address] });
  const lookup = async (): Promise<Answer> => {
    const aborter = new AbortController();
    const before = server.questions.length;
    const answered = Promise.resolve(source.lookup("one.example", aborter.signal)).finally(() => (isAnswered = true));
    let isAnswered = false;
    // What the resolver drops as no answer to its question is silence to us.
    for (let turn = 0; !isAnswered && (turn < 20 || server.questions.length === before); turn += 1)
      await new Promise(setImmediate);
    aborter.abort();
    return answered;
  };
  answer = GOOD;
  assert.deepEqual(await lookup(), found("m.hu"));
  for (let cut = 0; cut < GOOD.length; cut += 1) {
    answer = GOOD.subarray(0, cut);
    assert.equal((await lookup()).kind, "failed", `cut after ${cut}`);
  }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (bytes) => {
      answer = Buffer.from(bytes);
      assert.equal((await lookup()).kind, "failed");
    }),
    { numRuns: 100 },
  );
});

const wrong: readonly [options: RawOptions, fault: string][] = [
  [{}, '"query" is missing'],
  [{ query: "ns" }, 'query: expected mx or txt or a, got "ns"'],
  [{ query: "mx" }, '"query: mx" needs "names" or "addresses" that are ours'],
  [{ query: "mx", names: [] }, '"query: mx" needs "names" or "addresses" that are ours'],
  [{ query: "a", names: ["mx.example"] }, '"names" and "addresses" are for "query: mx" alone'],
  [{ query: "mx", names: ["192.0.2.1"] }, 'names.0: "192.0.2.1" is no domain name'],
  [{ query: "mx", addresses: ["mx.example"] }, 'addresses.0: "mx.example" is no IP address'],
  [{ query: "mx", addresses: ["fe80::1%eth0"] }, 'addresses.0: "fe80::1%eth0" is no IP address'],
  ...["ns.example", "127.0.0.1:0", "127.0.0.1:99999", "[127.0.0.1]", "[::1", "::1]:53", ""].map(
    (server): [RawOptions, string] => [
      { query: "txt", servers: [server] },
      `servers.0: expected an address such as 127.0.0.1, 127.0.0.1:5353 or [::1]:5353, got "${server}"`,
    ],
  ),
];
for (const [options, fault] of wrong)
  test(`a fault: ${fault}`, () => assert.deepEqual(faultsOf(DNS, options), [fault]));

test("servers as they may be written", () => {
  const servers = ["127.0.0.1", "127.0.0.1:5353", "::1", "[::1]", "[::1]:5353"];
  assert.deepEqual(faultsOf(DNS, { query: "txt", servers }), []);
  openType(DNS, { query: "txt", servers });
});
