import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { createResolver } from "./resolver.ts";

/** Lookups are answered by hand, in the order in which they were asked. */
function createNames() {
  const clock = createFakeClock();
  const asked: { host: string; answer: (ip: string) => void; fail: (reason: string) => void }[] = [];
  const resolve = createResolver({
    clock,
    lookUp: (host) =>
      new Promise((answer, reject) => asked.push({ host, answer, fail: (reason) => reject(new Error(reason)) })),
  });
  return { clock, asked, resolve };
}

for (const host of ["10.0.0.5", "::1", "fd00::5"])
  test(`${host} is an address already, in this turn`, () => {
    const { asked, resolve } = createNames();
    assert.deepEqual(resolve(host), { kind: "found", ip: host });
    assert.equal(asked.length, 0);
  });

test("a name is looked up once for all who ask meanwhile, kept for 30 s, then looked up anew", async () => {
  const { clock, asked, resolve } = createNames();
  const both = [resolve("imap.example"), resolve("imap.example")];
  assert.equal(asked.length, 1);
  asked[0]?.answer("10.0.0.5");
  assert.deepEqual(
    [await both[0], await both[1]],
    [
      { kind: "found", ip: "10.0.0.5" },
      { kind: "found", ip: "10.0.0.5" },
    ],
  );
  clock.advance(29_999);
  assert.deepEqual(resolve("imap.example"), { kind: "found", ip: "10.0.0.5" });
  clock.advance(1);
  const later = resolve("imap.example");
  asked[1]?.answer("10.0.0.6");
  assert.deepEqual(await later, { kind: "found", ip: "10.0.0.6" });
  assert.equal(clock.pendingTimers, 0);
});

test("a failure is one for a second", async () => {
  const { clock, asked, resolve } = createNames();
  const first = resolve("imap.example");
  asked[0]?.fail("ENOTFOUND");
  const failed = { kind: "failed", reason: "the address of imap.example cannot be looked up: ENOTFOUND" };
  assert.deepEqual(await first, failed);
  assert.deepEqual(resolve("imap.example"), failed);
  clock.advance(1_000);
  const second = resolve("imap.example");
  asked[1]?.answer("10.0.0.5");
  assert.deepEqual(await second, { kind: "found", ip: "10.0.0.5" });
});

test("who hangs is not waited for", async () => {
  const { clock, asked, resolve } = createNames();
  const hanging = resolve("imap.example");
  clock.advance(5_000);
  assert.deepEqual(await hanging, {
    kind: "failed",
    reason: "the address of imap.example cannot be looked up: no answer within 5 s",
  });
  asked[0]?.fail("late, and nobody listens");
});
