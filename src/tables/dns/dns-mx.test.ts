import assert from "node:assert/strict";
import { test } from "node:test";
import type { DnsRecord } from "../../../test/support/dns-server.ts";
import { a, aaaa, asked, mx, openDnsTable } from "../../../test/support/dns-table.ts";
import type { Answer } from "../table.ts";

const ABSENT: Answer = { kind: "absent" };
const found = (value: string): Answer => ({ kind: "found", value });

const OURS = { query: "mx", names: ["MX1.ours.example.", "mx2.ours.example"] };
const OUR_ADDRESSES = { query: "mx", addresses: ["192.0.2.1", "2001:DB8:0::1"] };

test("a domain is found by the name of one of its exchanges", async (t) => {
  const { lookup, server } = await openDnsTable(t, OURS, {
    "one.example": { MX: [mx(20, "mx2.ours.example"), mx(10, "mx.elsewhere.example")] },
    "two.example": { MX: [mx(20, "mx2.ours.example"), mx(10, "Mx1.OURS.example")] },
    "three.example": { MX: [mx(10, "mx1.ours.example.elsewhere.example")] },
  });
  assert.deepEqual(await lookup("one.example"), found("mx2.ours.example"));
  assert.deepEqual(await lookup("TWO.example."), found("mx1.ours.example"));
  assert.deepEqual(await lookup("three.example"), ABSENT);
  assert.deepEqual(await lookup("none.example"), ABSENT);
  assert.deepEqual(asked(server), ["MX none.example", "MX one.example", "MX three.example", "MX two.example"]);
});

test("a domain is found by an address of one of its exchanges", async (t) => {
  const { lookup, server } = await openDnsTable(t, OUR_ADDRESSES, {
    "one.example": { MX: [mx(10, "a.example"), mx(20, "b.example")] },
    "two.example": { MX: [mx(10, "a.example"), mx(20, "c.example")] },
    "three.example": { MX: [mx(10, "a.example"), mx(20, "gone.example")] },
    "a.example": { A: [a("192.0.2.2"), a("192.0.2.3")], AAAA: [aaaa("2001:db8::2")] },
    "b.example": { A: [a("192.0.2.2"), a("192.0.2.1")] },
    "c.example": { AAAA: [aaaa("2001:db8::1")] },
  });
  assert.deepEqual(await lookup("one.example"), found("b.example"));
  assert.deepEqual(await lookup("two.example"), found("c.example"));
  assert.deepEqual(await lookup("three.example"), ABSENT);
  assert.ok(asked(server).includes("AAAA gone.example"));
});

test("only families are asked for of which we have an address", async (t) => {
  const { lookup, server } = await openDnsTable(
    t,
    { query: "mx", addresses: ["192.0.2.1"] },
    {
      "one.example": { MX: [mx(10, "a.example")] },
      "a.example": { A: [a("192.0.2.1")], AAAA: "SERVFAIL" },
    },
  );
  assert.deepEqual(await lookup("one.example"), found("a.example"));
  assert.deepEqual(asked(server), ["A a.example", "MX one.example"]);
});

test("without an MX record the domain is its own exchange, and with a null MX it has none", async (t) => {
  const { lookup, server } = await openDnsTable(
    t,
    { ...OUR_ADDRESSES, names: ["named.example"] },
    {
      "implicit.example": { A: [a("192.0.2.1")] },
      "named.example": {},
      "elsewhere.example": { A: [a("192.0.2.9")] },
      "nothing.example": {},
      "null.example": { MX: [mx(0, "")], A: [a("192.0.2.1")] },
      "alias.example": { MX: [{ type: "CNAME", target: "real.example" }, mx(10, "mx.example")] },
      "mx.example": { A: [{ type: "CNAME", target: "host.example" }, a("192.0.2.1")] },
    },
  );
  assert.deepEqual(await lookup("implicit.example"), found("implicit.example"));
  assert.deepEqual(await lookup("named.example"), found("named.example"));
  assert.deepEqual(await lookup("alias.example"), found("mx.example"));
  for (const name of ["elsewhere", "nothing", "null"]) assert.deepEqual(await lookup(`${name}.example`), ABSENT, name);
  assert.ok(server.questions.every(({ name }) => name !== ""));
});

test("a part that failed makes absent failed, but not what was found elsewhere", async (t) => {
  const { lookup } = await openDnsTable(t, OUR_ADDRESSES, {
    "bad.example": { MX: [mx(10, "broken.example"), mx(20, "other.example")] },
    "good.example": { MX: [mx(10, "broken.example"), mx(20, "ours.example")] },
    "late.example": { MX: [mx(10, "silent.example"), mx(20, "ours.example")] },
    "broken.example": { A: "SERVFAIL", AAAA: [aaaa("2001:db8::2")] },
    "silent.example": { A: "silence", AAAA: "silence" },
    "other.example": { A: [a("192.0.2.9")] },
    "ours.example": { A: [a("192.0.2.1")] },
  });
  assert.deepEqual(await lookup("bad.example"), { kind: "failed", reason: "DNS, A of broken.example: ESERVFAIL" });
  assert.deepEqual(await lookup("good.example"), found("ours.example"));
  assert.deepEqual(await lookup("late.example"), found("ours.example"));
});

test("of many exchanges some are looked at, and the others leave it open", async (t) => {
  const many = (count: number): DnsRecord[] =>
    Array.from({ length: count }, (_, number) => mx(number, `mx${number}.example`));
  const { lookup, server } = await openDnsTable(
    t,
    { ...OUR_ADDRESSES, names: ["ours.example"] },
    {
      "twenty.example": { MX: many(20) },
      "more.example": { MX: many(21) },
      "named.example": { MX: [...many(60), mx(99, "ours.example")] },
    },
  );
  assert.deepEqual(await lookup("twenty.example"), ABSENT);
  assert.equal(server.questions.filter(({ type }) => type !== "MX").length, 40);
  const answer = await lookup("more.example");
  assert.ok(answer.kind === "failed" && answer.scope === undefined);
  assert.deepEqual(await lookup("named.example"), found("ours.example"));
  assert.ok(server.questions.some(({ name, transport }) => name === "named.example" && transport === "tcp"));
});
