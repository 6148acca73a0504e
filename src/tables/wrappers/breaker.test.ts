import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import type { FakeClock } from "../../../test/support/fake-clock.ts";
import { Breaker } from "./breaker.ts";
import type { Admission } from "./breaker.ts";

interface Bench {
  readonly breaker: Breaker;
  readonly clock: FakeClock;
  readonly events: string[];
}

function start(random: () => number = () => 1): Bench {
  const clock = createFakeClock();
  const events: string[] = [];
  const options = { failures: 3, minBackoffMs: 1_000, maxBackoffMs: 5_000 };
  const breaker = new Breaker(
    options,
    clock,
    {
      opened: (reason, forMs) => void events.push(`opened for ${forMs}: ${reason}`),
      closed: (downMs) => void events.push(`closed after ${downMs}`),
    },
    random,
  );
  return { breaker, clock, events };
}

const ADMITTED: Admission = { kind: "admitted", isProbe: false };
const PROBE: Admission = { kind: "admitted", isProbe: true };
const refused = (when: string): Admission => ({ kind: "refused", reason: `the source is down, ${when}: no answer` });

function fail({ breaker }: Bench, times = 1): void {
  for (let time = 0; time < times; time += 1) {
    const admission = breaker.admit();
    assert.ok(admission.kind === "admitted");
    breaker.failed(admission, "no answer");
  }
}

test("it opens after so many failures in a row, not before", () => {
  const bench = start();
  fail(bench, 2);
  bench.breaker.succeeded();
  fail(bench, 2);
  assert.deepEqual(bench.breaker.admit(), ADMITTED);
  assert.deepEqual(bench.events, []);
  fail(bench);
  assert.deepEqual(bench.breaker.admit(), refused("tried again in 1 s"));
  assert.deepEqual(bench.events, ["opened for 1000: no answer"]);
});

test("then one at a time is let through, and a success closes it", () => {
  const bench = start();
  fail(bench, 3);
  bench.clock.advance(999);
  assert.equal(bench.breaker.admit().kind, "refused");
  bench.clock.advance(1);
  assert.deepEqual(bench.breaker.admit(), PROBE);
  assert.deepEqual(bench.breaker.admit(), refused("being tried again"));
  bench.breaker.succeeded();
  assert.deepEqual(bench.breaker.admit(), ADMITTED);
  assert.deepEqual(bench.events, ["opened for 1000: no answer", "closed after 1000"]);
  fail(bench, 2);
  assert.deepEqual(bench.breaker.admit(), ADMITTED);
});

test("each time that fails the time doubles, up to the longest", () => {
  const bench = start();
  fail(bench, 3);
  for (const waitMs of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    bench.clock.advance(waitMs - 1);
    assert.equal(bench.breaker.admit().kind, "refused");
    bench.clock.advance(1);
    fail(bench);
  }
  assert.equal(bench.events.length, 1);
  bench.breaker.succeeded();
  fail(bench, 3);
  assert.equal(bench.events.at(-1), "opened for 1000: no answer");
});

test("the time is jittered, and never longer than said", () => {
  for (const [random, waitMs] of [
    [0, 750],
    [0.5, 875],
    [0.999999, 1_000],
  ] as const) {
    const bench = start(() => random);
    fail(bench, 3);
    bench.clock.advance(waitMs - 1);
    assert.equal(bench.breaker.admit().kind, "refused");
    bench.clock.advance(1);
    assert.deepEqual(bench.breaker.admit(), PROBE);
  }
});

test("failures of those who were asking when it opened change nothing", () => {
  const bench = start();
  const early = Array.from({ length: 10 }, () => bench.breaker.admit());
  for (const admission of early) if (admission.kind === "admitted") bench.breaker.failed(admission, "no answer");
  bench.clock.advance(1_000);
  assert.deepEqual(bench.breaker.admit(), PROBE);
});

test("a success of those who were asking when it opened closes it", () => {
  const bench = start();
  fail(bench, 3);
  bench.breaker.succeeded();
  assert.deepEqual(bench.breaker.admit(), ADMITTED);
});

test("a probe that nobody waited for lets the next one through", () => {
  const bench = start();
  fail(bench, 3);
  bench.clock.advance(1_000);
  const probe = bench.breaker.admit();
  assert.ok(probe.kind === "admitted");
  bench.breaker.abandoned(probe);
  assert.deepEqual(bench.breaker.admit(), PROBE);
});

test("what says nothing of the source counts as nothing", () => {
  const bench = start();
  fail(bench, 2);
  bench.breaker.abandoned({ isProbe: false });
  fail(bench);
  assert.equal(bench.breaker.admit().kind, "refused");
});

test("a shortest time beyond the longest is the longest", () => {
  const clock = createFakeClock();
  const quiet = { opened: () => {}, closed: () => {} };
  const options = { failures: 1, minBackoffMs: 60_000, maxBackoffMs: 1_000 };
  const breaker = new Breaker(options, clock, quiet, () => 1);
  breaker.failed({ isProbe: false }, "no answer");
  clock.advance(1_000);
  assert.deepEqual(breaker.admit(), PROBE);
});
