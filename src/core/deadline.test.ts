import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { Deadline } from "./deadline.ts";

function setUp() {
  const clock = createFakeClock();
  const missed: number[] = [];
  return { clock, missed, deadline: new Deadline(clock, () => missed.push(clock.nowMs())) };
}

test("fires once when due", () => {
  const { clock, missed, deadline } = setUp();
  deadline.set(100);
  clock.advance(99);
  assert.deepEqual(missed, []);
  clock.advance(1000);
  assert.deepEqual(missed, [100]);
});

test("moved on, it waits for the rest", () => {
  const { clock, missed, deadline } = setUp();
  deadline.set(100);
  clock.advance(60);
  deadline.set(100);
  clock.advance(99);
  assert.deepEqual(missed, []);
  clock.advance(1);
  assert.deepEqual(missed, [160]);
});

test("moved nearer, it fires earlier", () => {
  const { clock, missed, deadline } = setUp();
  deadline.set(1000);
  deadline.set(10);
  clock.advance(2000);
  assert.deepEqual(missed, [10]);
});

test("cleared, it does not fire, and can be set again", () => {
  const { clock, missed, deadline } = setUp();
  deadline.set(10);
  deadline.clear();
  clock.advance(100);
  deadline.set(10);
  clock.advance(10);
  assert.deepEqual(missed, [110]);
});

test("ended, it keeps no timer", () => {
  const { clock, deadline } = setUp();
  deadline.set(10);
  deadline.end();
  assert.equal(clock.pendingTimers, 0);
});
