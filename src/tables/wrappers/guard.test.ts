import assert from "node:assert/strict";
import { test } from "node:test";
import { failed, found, settle, start, withoutGuard } from "../../../test/support/guard-bench.ts";
import type { Bench } from "../../../test/support/guard-bench.ts";
import type { Source } from "../source.ts";
import { ABSENT } from "../table.ts";
import type { Answer } from "../table.ts";
import { MAX_WAITING } from "./slots.ts";

const keysOf = ({ open }: Bench): string[] => open.map(({ key }) => key);

test("what the source answers at once is answered in the same turn", () => {
  const { guarded } = start({ lookup: (key) => (key === "k" ? found("v") : ABSENT) });
  assert.deepEqual(guarded.lookup("k"), found("v"));
  assert.deepEqual(guarded.lookup("other"), ABSENT);
});

test("what comes late is waited for, and the timer goes with it", async () => {
  const bench = start();
  const answer = bench.guarded.lookup("k");
  assert.equal(bench.clock.pendingTimers, 1);
  bench.open[0]?.resolve(found("v"));
  assert.deepEqual(await answer, found("v"));
  assert.equal(bench.clock.pendingTimers, 0);
});

test("what does not come in time has failed, and the source is told that nobody waits", async () => {
  const bench = start();
  const answer = bench.guarded.lookup("k");
  bench.clock.advance(4_999);
  assert.equal(bench.open[0]?.signal.aborted, false);
  bench.clock.advance(1);
  assert.deepEqual(await answer, failed("no answer within 5000 ms"));
  assert.equal(bench.open[0]?.signal.aborted, true);
  // Whatever comes now is nobody's.
  bench.open[0]?.reject(new Error("aborted"));
  await settle();
  assert.deepEqual(bench.said, ["warning a lookup failed: no answer within 5000 ms"]);
});

for (const [name, source, reason] of [
  [
    "throws",
    {
      lookup: () => {
        throw new Error("a bug");
      },
    },
    "a bug",
  ],
  ["rejects", { lookup: () => Promise.reject(new Error("no route")) }, "no route"],
  [
    "rejects without a message",
    { lookup: () => Promise.reject(Object.assign(new Error(""), { code: "ECONNREFUSED" })) },
    "ECONNREFUSED",
  ],
] as const satisfies readonly (readonly [string, Source, string])[])
  test(`a source that ${name} has failed, with a guard and without`, async () => {
    assert.deepEqual(await start(source).guarded.lookup("k"), failed(reason));
    const said: string[] = [];
    assert.deepEqual(await withoutGuard(source, said).lookup("k"), failed(reason));
    assert.deepEqual(said, [`error a bug: ${reason}`]);
  });

test("all who may wait can be late at once", async () => {
  const bench = start();
  const answers = Array.from({ length: MAX_WAITING }, (_, at) => bench.guarded.lookup(`k${at}`));
  bench.clock.advance(5_000);
  const kinds = (await Promise.all(answers.map(async (answer) => answer))).map(({ kind }) => kind);
  assert.deepEqual([kinds.length, [...new Set(kinds)]], [MAX_WAITING, ["failed"]]);
  assert.equal(bench.clock.pendingTimers, 0);
});

test("no more are under way than may be; the others come in their order", async () => {
  const bench = start();
  const answers = ["a", "b", "c", "d", "e"].map((key) => bench.guarded.lookup(key));
  assert.deepEqual(keysOf(bench), ["a", "b"]);
  bench.open[1]?.resolve(found("1"));
  await settle();
  assert.deepEqual(keysOf(bench), ["a", "b", "c"]);
  bench.open[0]?.reject(new Error("broken"));
  await settle();
  assert.deepEqual(keysOf(bench), ["a", "b", "c", "d"]);
  for (const at of [2, 3]) bench.open[at]?.resolve(ABSENT);
  await settle();
  bench.open[4]?.resolve(found("5"));
  assert.deepEqual(await Promise.all(answers.map(async (answer) => answer)), [
    failed("broken"),
    found("1"),
    ABSENT,
    ABSENT,
    found("5"),
  ]);
  assert.equal(bench.clock.pendingTimers, 0);
});

test("waiting counts: the whole takes no longer than its time", async () => {
  const bench = start();
  const first = [bench.guarded.lookup("a"), bench.guarded.lookup("b")];
  bench.clock.advance(3_000);
  const third = bench.guarded.lookup("c");
  bench.clock.advance(1_999);
  bench.open[0]?.resolve(ABSENT);
  await settle();
  assert.deepEqual(keysOf(bench), ["a", "b", "c"]);
  bench.clock.advance(3_000);
  assert.equal(bench.open[2]?.signal.aborted, false);
  bench.clock.advance(1);
  assert.deepEqual(await third, failed("no answer within 5000 ms"));
  assert.deepEqual(await first[1], failed("no answer within 5000 ms"));
});

test("who waits in vain was never asked for", async () => {
  const bench = start();
  void bench.guarded.lookup("a");
  void bench.guarded.lookup("b");
  bench.clock.advance(1);
  bench.open[0]?.resolve(ABSENT);
  await settle();
  // One place is free for a moment only: taken by one that stays.
  const late = Array.from({ length: 3 }, (_, at) => bench.guarded.lookup(`late${at}`));
  void bench.guarded.lookup("a2");
  assert.deepEqual(keysOf(bench), ["a", "b", "late0"]);
  bench.clock.advance(5_000);
  assert.deepEqual(await late[2], failed("not asked within 5000 ms: 2 lookups were under way all the time"));
  assert.ok(!keysOf(bench).includes("late2"));
});

test("of too many who wait the last ones fail at once, and the source is not blamed", async () => {
  const bench = start();
  for (let at = 0; at < 2 + MAX_WAITING; at += 1) void bench.guarded.lookup(`k${at}`);
  for (let at = 0; at < 10; at += 1)
    assert.deepEqual(await bench.guarded.lookup("one too many"), failed("too many lookups wait for the source"));
  assert.deepEqual(bench.said, ["warning a lookup failed: too many lookups wait for the source"]);
  bench.open[0]?.resolve(found("v"));
  await settle();
  assert.equal(keysOf(bench).at(-1), "k2");
});

test("after failures in a row nobody is asked; those who wait are let go when their turn comes", async () => {
  const bench = start();
  const answers = ["a", "b", "c", "d", "e"].map((key) => bench.guarded.lookup(key));
  for (const at of [0, 1, 2]) {
    bench.open[at]?.reject(new Error("refused"));
    await settle();
  }
  assert.deepEqual(await answers[4], failed("the source is down, tried again in 1 s: refused"));
  assert.deepEqual(keysOf(bench), ["a", "b", "c", "d"]);
  assert.deepEqual(bench.guarded.lookup("f"), failed("the source is down, tried again in 1 s: refused"));
  assert.deepEqual(bench.said, [
    "warning a lookup failed: refused",
    "error the source is down, lookups fail at once for 1 s: refused",
  ]);
  bench.clock.advance(1_000);
  const probe = bench.guarded.lookup("probe");
  assert.equal(keysOf(bench).at(-1), "probe");
  assert.deepEqual(bench.guarded.lookup("g"), failed("the source is down, being tried again: refused"));
  bench.open.at(-1)?.resolve(ABSENT);
  assert.deepEqual(await probe, ABSENT);
  assert.deepEqual(bench.said.at(-1), "notice the source answers again, after 1 s");
  assert.ok(bench.guarded.lookup("h") instanceof Promise);
});

test("a failure that is the key's alone does not count", async () => {
  let asked = 0;
  const { guarded } = start({
    lookup: () => {
      asked += 1;
      return { kind: "failed", reason: "no such column" };
    },
  });
  for (let at = 0; at < 20; at += 1)
    assert.deepEqual(await guarded.lookup("k"), { kind: "failed", reason: "no such column" });
  assert.equal(asked, 20);
});

test("one reason is told once a minute, and of many only some", async () => {
  let reason = "first";
  const { guarded, clock, said } = start({ lookup: () => ({ kind: "failed", reason }) });
  await guarded.lookup("k");
  await guarded.lookup("k");
  for (let at = 0; at < 100; at += 1) {
    reason = `bad key ${at}`;
    await guarded.lookup("k");
  }
  assert.equal(said.length, 20);
  clock.advance(60_000);
  reason = "first";
  await guarded.lookup("k");
  await guarded.lookup("k");
  assert.equal(said.length, 21);
});

test("a late answer of one that was given up frees no place a second time", async () => {
  const bench = start();
  void bench.guarded.lookup("a");
  void bench.guarded.lookup("b");
  bench.clock.advance(5_000);
  await settle();
  void bench.guarded.lookup("c");
  void bench.guarded.lookup("d");
  for (const at of [0, 1]) bench.open[at]?.resolve(found("late"));
  await settle();
  void bench.guarded.lookup("e");
  await settle();
  assert.deepEqual(keysOf(bench), ["a", "b", "c", "d"]);
});

test("it closes when nothing is under way or waits any more, once", async () => {
  let closed = 0;
  const open: ((answer: Answer) => void)[] = [];
  const { guarded } = start({
    lookup: () => new Promise((resolve) => open.push(resolve)),
    close: () => void (closed += 1),
  });
  const answers = ["a", "b", "c"].map((key) => guarded.lookup(key));
  const closing = Promise.all([guarded.close(), guarded.close()]);
  open[0]?.(ABSENT);
  open[1]?.(ABSENT);
  await settle();
  assert.equal(closed, 0);
  open[2]?.(found("v"));
  await closing;
  assert.equal(closed, 1);
  assert.deepEqual(await answers[2], found("v"));
});

test("without a guard it closes when nothing is under way any more, once", async () => {
  let closed = 0;
  let answer: (answer: Answer) => void = () => {};
  const guarded = withoutGuard({
    lookup: () => new Promise((resolve) => (answer = resolve)),
    close: () => void (closed += 1),
  });
  const late = guarded.lookup("k");
  const closing = Promise.all([guarded.close(), guarded.close()]);
  await settle();
  assert.equal(closed, 0);
  answer(found("v"));
  await closing;
  assert.equal(closed, 1);
  assert.deepEqual(await late, found("v"));
});
