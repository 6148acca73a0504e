import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { test } from "node:test";
import { LineQueue } from "./line-queue.ts";
import type { LogTarget } from "./log-target.ts";

/** Takes bytes as the test says; `room` is what it takes at once, undefined leaves the answer to `answer`. */
class SlowTarget implements LogTarget {
  readonly batches: string[] = [];
  room: number | undefined = Number.POSITIVE_INFINITY;
  isClosed = false;
  answer: (byteCount: number) => void = () => {};

  send(bytes: Buffer, sent: (byteCount: number) => void): void {
    this.batches.push(bytes.toString());
    if (this.room === undefined) this.answer = sent;
    else sent(Math.min(this.room, bytes.length));
  }
  sendNow(bytes: Buffer): number {
    this.batches.push(bytes.toString());
    return bytes.length;
  }
  reopen(): void {}
  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

function start(maxPendingBytes?: number): { queue: LineQueue; target: SlowTarget } {
  const queue = new LineQueue((lineCount) => `lost ${lineCount}\n`, maxPendingBytes);
  const target = new SlowTarget();
  queue.setTarget(target, () => {});
  return { queue, target };
}

test("all lines of one turn leave in one write, the next turn's in the next", async () => {
  const { queue, target } = start();
  queue.push("a\n");
  await Promise.resolve();
  queue.push("b\n");
  assert.deepEqual(target.batches, []);
  await nextTurn();
  queue.push("c\n");
  await nextTurn();
  assert.deepEqual(target.batches, ["a\nb\n", "c\n"]);
});

test("what a target did not take is sent again from where it stopped, before anything newer", async () => {
  const { queue, target } = start();
  target.room = undefined;
  queue.push("abcdef\n");
  await nextTurn();
  queue.push("next\n");
  await nextTurn();
  target.answer(3);
  target.answer(4);
  target.answer(5);
  assert.deepEqual(target.batches, ["abcdef\n", "def\n", "next\n"]);
  await queue.drain(60_000);
});

test("past the bound lines are dropped and the hole is counted once there is room", async () => {
  const { queue, target } = start(8);
  target.room = undefined;
  queue.push("1234\n");
  await nextTurn();
  for (const line of ["56\n", "7890\n", "x\n"]) queue.push(line); // 5 bytes under way, 3 more fit, then none
  await nextTurn();
  target.answer(5);
  target.answer(10);
  assert.deepEqual(target.batches, ["1234\n", "56\nlost 2\n"]);
  queue.push("fits\n");
  await nextTurn();
  assert.equal(target.batches.at(-1), "fits\n");
});

test("drain waits for what is under way, and no longer than it is told", async () => {
  const { queue, target } = start();
  target.room = undefined;
  queue.push("a\n");
  let isDrained = false;
  const drained = queue.drain(60_000).then(() => (isDrained = true));
  await nextTurn();
  assert.equal(isDrained, false);
  target.answer(2);
  await drained;
  queue.push("b\n");
  await queue.drain(1); // the target never answers
});

test("a new target gets what comes after the batch under way; the old one is released then", async () => {
  const { queue, target } = start();
  target.room = undefined;
  queue.push("old\n");
  await nextTurn();
  const next = new SlowTarget();
  queue.setTarget(next, () => void target.close());
  queue.push("new\n");
  await nextTurn();
  assert.equal(target.isClosed, false);
  target.answer(4);
  await nextTurn();
  assert.equal(target.isClosed, true);
  assert.deepEqual([target.batches, next.batches], [["old\n"], ["new\n"]]);
});

test("flushNow writes in this very turn", () => {
  const { queue, target } = start();
  queue.push("last words\n");
  queue.flushNow();
  assert.deepEqual(target.batches, ["last words\n"]);
});
