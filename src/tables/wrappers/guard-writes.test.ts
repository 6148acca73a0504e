import assert from "node:assert/strict";
import { test } from "node:test";
import { failed, settle, start, withoutGuard } from "../../../test/support/guard-bench.ts";
import type { Source } from "../source.ts";
import { ABSENT, DONE, TableFailure } from "../table.ts";
import type { Change, TableEntry, WriteOutcome } from "../table.ts";

const CHANGES: readonly Change[] = [{ kind: "unset", key: "k" }];

test("a write that was not begun has failed, one that was is uncertain", async () => {
  const open: ((outcome: WriteOutcome) => void)[] = [];
  const bench = start({
    lookup: () => ABSENT,
    write: () => new Promise((resolve) => open.push(resolve)),
  });
  const { write } = bench.guarded;
  assert.ok(write);
  const outcomes = [write(CHANGES), write(CHANGES), write(CHANGES)];
  bench.clock.advance(5_000);
  assert.deepEqual(await Promise.all(outcomes), [
    { kind: "uncertain", reason: "no answer within 5000 ms" },
    { kind: "uncertain", reason: "no answer within 5000 ms" },
    { kind: "failed", reason: "not asked within 5000 ms: 2 lookups were under way all the time" },
  ]);
});

test("a write that throws or rejects is uncertain", async () => {
  for (const write of [
    () => Promise.reject(new Error("reset")),
    () => {
      throw new Error("reset");
    },
  ] as const) {
    const guarded = start({ lookup: () => ABSENT, write }).guarded;
    assert.deepEqual(await guarded.write?.(CHANGES), { kind: "uncertain", reason: "reset" });
  }
});

test("a write while the source is down has failed, and one that failed does not say that it is up", async () => {
  let outcome: WriteOutcome = { kind: "failed", reason: "refused" };
  let wrote = 0;
  const { guarded, clock, said } = start({
    lookup: () => failed("refused"),
    write: () => {
      wrote += 1;
      return Promise.resolve(outcome);
    },
  });
  for (let at = 0; at < 3; at += 1) await guarded.lookup("k");
  assert.deepEqual(await guarded.write?.(CHANGES), {
    kind: "failed",
    reason: "the source is down, tried again in 1 s: refused",
  });
  assert.equal(wrote, 0);
  clock.advance(1_000);
  assert.deepEqual(await guarded.write?.(CHANGES), { kind: "failed", reason: "refused" });
  assert.ok(!said.some((line) => line.includes("answers again")));
  outcome = DONE;
  assert.deepEqual(await guarded.write?.(CHANGES), DONE);
  assert.ok(said.at(-1)?.includes("answers again"));
});

const isFailure =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof TableFailure && error.message === reason;

type Pages = (signal: AbortSignal) => AsyncIterable<readonly TableEntry[]>;

const listing = (list: Pages): Source => ({ lookup: () => ABSENT, list: (_prefix, signal) => list(signal) });

test("a list comes page by page, each with its own time", async () => {
  const { guarded, clock } = start(
    listing(async function* () {
      for (const key of ["a", "b", "c"]) {
        clock.advance(4_999);
        yield await Promise.resolve([{ key, value: "v" }]);
      }
    }),
  );
  assert.ok(guarded.list);
  assert.deepEqual(
    (await Array.fromAsync(guarded.list(""))).flat().map(({ key }) => key),
    ["a", "b", "c"],
  );
});

for (const [name, list, reason] of [
  [
    "hangs",
    () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
    "no answer within 5000 ms",
  ],
  [
    "throws while it goes",
    async function* () {
      yield [{ key: "a" }];
      throw new Error("reset");
    },
    "reset",
  ],
  [
    "throws at once",
    () => {
      throw new Error("no");
    },
    "no",
  ],
] as const satisfies readonly (readonly [string, Pages, string])[])
  test(`a list that ${name} is a table's failure, with its reason`, async () => {
    const { guarded, clock } = start(listing(list));
    assert.ok(guarded.list);
    const rejected = assert.rejects(Array.fromAsync(guarded.list("")), isFailure(reason));
    await settle();
    clock.advance(5_000);
    await rejected;
  });

for (const [name, list, reason] of [
  [
    "throws while it goes",
    async function* () {
      yield [{ key: "a" }];
      throw new Error("reset");
    },
    "reset",
  ],
  [
    "throws at once",
    () => {
      throw new Error("no");
    },
    "no",
  ],
] as const satisfies readonly (readonly [string, Pages, string])[])
  test(`so is one without a guard that ${name}`, async () => {
    const guarded = withoutGuard(listing(list));
    assert.ok(guarded.list);
    await assert.rejects(Array.fromAsync(guarded.list("")), isFailure(reason));
  });

test("a list that is left early tells the source", async () => {
  let ended: AbortSignal | undefined;
  const { guarded } = start(
    listing(async function* (signal) {
      ended = signal;
      for (;;) yield await Promise.resolve([{ key: "a" }]);
    }),
  );
  assert.ok(guarded.list);
  for await (const page of guarded.list("")) {
    assert.equal(page.length, 1);
    break;
  }
  assert.equal(ended?.aborted, true);
});
