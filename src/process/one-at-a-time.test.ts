import assert from "node:assert/strict";
import { test } from "node:test";
import { oneAtATime } from "./one-at-a-time.ts";

test("calls never overlap; any number while one is under way is one more", async () => {
  const ends: (() => void)[] = [];
  let underWay = 0;
  const call = oneAtATime(async () => {
    assert.equal(++underWay, 1);
    await new Promise<void>((resolve) => ends.push(resolve));
    underWay--;
  });
  const endOf = async (run: number): Promise<void> => {
    ends[run]?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  call();
  assert.equal(ends.length, 1); // in the same turn
  for (let i = 0; i < 5; i++) call();
  assert.equal(ends.length, 1);
  await endOf(0);
  assert.equal(ends.length, 2);
  await endOf(1);
  assert.equal(ends.length, 2);
  call();
  assert.equal(ends.length, 3);
  await endOf(2);
});
