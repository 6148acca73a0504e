import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { ForgetCounts } from "./forget-counts.ts";

test("keys are counted one by one, and left after two minutes without a further time", () => {
  const clock = createFakeClock();
  const counts = new ForgetCounts(clock);
  counts.note("a");
  counts.note("b");
  clock.advance(100_000);
  counts.note("a");
  assert.deepEqual([counts.of("a"), counts.of("b"), counts.of("c")], [2, 1, 0]);
  clock.advance(20_000);
  counts.note("c");
  assert.deepEqual([counts.of("a"), counts.of("b"), counts.of("c")], [2, 0, 1]);
});
