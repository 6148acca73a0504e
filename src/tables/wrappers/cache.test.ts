import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import type { FakeClock } from "../../../test/support/fake-clock.ts";
import type { CacheOptions } from "../options.ts";
import { ABSENT } from "../table.ts";
import type { Answer } from "../table.ts";
import { Cache } from "./cache.ts";

const OPTIONS: CacheOptions = { ttlMs: 60_000, absentTtlMs: 10_000, staleIfFailedMs: 0, maxEntries: 100 };
const FAILED: Answer = { kind: "failed", reason: "it is down", scope: "source" };
const found = (value: string): Answer => ({ kind: "found", value });

interface Bench {
  readonly cache: Cache;
  readonly clock: FakeClock;
  /** What the source says from now on. */
  answer: Answer;
  /** Keys that the source was asked for. */
  readonly asked: string[];
  /** Where lookups are late: answers the oldest one that waits. */
  release(answer: Answer): void;
}

function start(options: Partial<CacheOptions> = {}, isLate = false): Bench {
  const clock = createFakeClock();
  const waiting: ((answer: Answer) => void)[] = [];
  const bench: Bench = {
    clock,
    answer: found("old"),
    asked: [],
    release: (answer) => waiting.shift()?.(answer),
    cache: new Cache({ ...OPTIONS, ...options }, clock, (key) => {
      bench.asked.push(key);
      return isLate ? new Promise((resolve) => waiting.push(resolve)) : bench.answer;
    }),
  };
  return bench;
}

test("a value found is good for its time", () => {
  const bench = start();
  assert.deepEqual(bench.cache.lookup("k"), found("old"));
  bench.answer = found("new");
  bench.clock.advance(59_999);
  assert.deepEqual(bench.cache.lookup("k"), found("old"));
  bench.clock.advance(1);
  assert.deepEqual(bench.cache.lookup("k"), found("new"));
  assert.deepEqual(bench.asked, ["k", "k"]);
});

test("that there is none is remembered for its own time", () => {
  const bench = start();
  bench.answer = ABSENT;
  void bench.cache.lookup("k");
  bench.answer = found("new");
  bench.clock.advance(9_999);
  assert.deepEqual(bench.cache.lookup("k"), ABSENT);
  bench.clock.advance(1);
  assert.deepEqual(bench.cache.lookup("k"), found("new"));
});

test("a failure is not remembered", () => {
  const bench = start();
  bench.answer = FAILED;
  assert.deepEqual(bench.cache.lookup("k"), FAILED);
  bench.answer = found("new");
  assert.deepEqual(bench.cache.lookup("k"), found("new"));
});

test("a time of 0 remembers nothing", () => {
  const bench = start({ ttlMs: 0, absentTtlMs: 0 });
  void bench.cache.lookup("k");
  bench.answer = ABSENT;
  void bench.cache.lookup("k");
  assert.equal(bench.cache.size, 0);
  assert.equal(bench.asked.length, 2);
});

test("several results are remembered as several", () => {
  const bench = start();
  const several: Answer = { kind: "found", value: "a,b", values: ["a", "b"] };
  bench.answer = several;
  void bench.cache.lookup("k");
  assert.deepEqual(bench.cache.lookup("k"), several);
});

test("a value found stands in while the source fails, for its time and not longer", () => {
  const bench = start({ staleIfFailedMs: 5_000 });
  void bench.cache.lookup("k");
  bench.answer = FAILED;
  bench.clock.advance(64_999);
  assert.deepEqual(bench.cache.lookup("k"), found("old"));
  bench.clock.advance(1);
  assert.deepEqual(bench.cache.lookup("k"), FAILED);
  assert.deepEqual(bench.asked, ["k", "k", "k"]);
});

test("without stale_if_failed nothing stands in", () => {
  const bench = start();
  void bench.cache.lookup("k");
  bench.answer = FAILED;
  bench.clock.advance(60_000);
  assert.deepEqual(bench.cache.lookup("k"), FAILED);
});

test("that there is none never stands in: the user may be new", () => {
  const bench = start({ staleIfFailedMs: 3_600_000 });
  bench.answer = ABSENT;
  void bench.cache.lookup("k");
  bench.answer = FAILED;
  bench.clock.advance(10_000);
  assert.deepEqual(bench.cache.lookup("k"), FAILED);
});

test("nor does a value that was found before there was none", () => {
  const bench = start({ staleIfFailedMs: 3_600_000 });
  void bench.cache.lookup("k");
  bench.clock.advance(60_000);
  bench.answer = ABSENT;
  void bench.cache.lookup("k");
  bench.answer = FAILED;
  bench.clock.advance(10_000);
  assert.deepEqual(bench.cache.lookup("k"), FAILED);
});

test("a thousand who ask for one key at the same time are one question", async () => {
  const bench = start({}, true);
  const answers = Array.from({ length: 1_000 }, () => bench.cache.lookup("k"));
  const other = bench.cache.lookup("other");
  assert.deepEqual(bench.asked, ["k", "other"]);
  bench.release(found("old"));
  bench.release(ABSENT);
  assert.deepEqual(
    await Promise.all(answers.map(async (answer) => answer)),
    answers.map(() => found("old")),
  );
  assert.deepEqual(await other, ABSENT);
  assert.deepEqual(bench.cache.lookup("k"), found("old"));
  assert.equal(bench.asked.length, 2);
});

test("a failure is everybody's who waits, and the next one asks anew", async () => {
  const bench = start({}, true);
  const answers = [bench.cache.lookup("k"), bench.cache.lookup("k")];
  bench.release(FAILED);
  assert.deepEqual(await Promise.all(answers.map(async (answer) => answer)), [FAILED, FAILED]);
  void bench.cache.lookup("k");
  assert.equal(bench.asked.length, 2);
});

for (const [what, forget] of [
  ["forget", (cache: Cache) => cache.forget("k")],
  ["flush", (cache: Cache) => cache.flush()],
] as const)
  test(`${what} while a lookup is under way: its answer, which may be old, is not remembered`, async () => {
    const bench = start({}, true);
    const early = bench.cache.lookup("k");
    forget(bench.cache);
    const late = bench.cache.lookup("k");
    assert.equal(bench.asked.length, 2);
    bench.release(found("old"));
    assert.deepEqual(await early, found("old"));
    assert.equal(bench.cache.size, 0);
    bench.release(found("new"));
    assert.deepEqual(await late, found("new"));
    assert.deepEqual(bench.cache.lookup("k"), found("new"));
  });

test("forget leaves the other keys", () => {
  const bench = start();
  void bench.cache.lookup("k");
  void bench.cache.lookup("other");
  bench.cache.forget("k");
  bench.answer = found("new");
  assert.deepEqual(bench.cache.lookup("k"), found("new"));
  assert.deepEqual(bench.cache.lookup("other"), found("old"));
});

test("the answer that was not asked for the longest time goes first", () => {
  const bench = start({ maxEntries: 3 });
  for (const key of ["a", "b", "c", "a", "d"]) void bench.cache.lookup(key);
  assert.equal(bench.cache.size, 3);
  bench.asked.length = 0;
  for (const key of ["a", "c", "d"]) void bench.cache.lookup(key);
  assert.deepEqual(bench.asked, []);
  void bench.cache.lookup("b");
  assert.deepEqual(bench.asked, ["b"]);
  assert.equal(bench.cache.size, 3);
});

test("a million keys leave no more than it may keep", () => {
  const bench = start({ maxEntries: 1_000 });
  for (let key = 0; key < 1_000_000; key += 1) void bench.cache.lookup(`k${key}`);
  assert.equal(bench.cache.size, 1_000);
});
