import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { ConnectionPool } from "./connection-pool.ts";
import type { PooledConnection } from "./connection-pool.ts";

class FakeConnection implements PooledConnection {
  readonly number: number;
  isUsable = true;
  isClosed = false;
  constructor(number: number) {
    this.number = number;
  }
  close(): void {
    this.isClosed = true;
  }
  destroy(): void {
    this.isUsable = false;
  }
}

function createPool(maxConnections = 2) {
  const clock = createFakeClock();
  const made: FakeConnection[] = [];
  /** What connecting waits for. */
  const gate = { opening: Promise.resolve() };
  const pool = new ConnectionPool<FakeConnection>({
    maxConnections,
    clock,
    async connect() {
      await gate.opening;
      const connection = new FakeConnection(made.length);
      made.push(connection);
      return connection;
    },
  });
  const use = <Result>(
    act: (connection: FakeConnection) => Promise<Result>,
    signal: AbortSignal = new AbortController().signal,
    mayRepeat = true,
  ): Promise<Result> => pool.use(signal, act, () => mayRepeat);
  return { pool, clock, made, gate, use };
}

const numberOf = async ({ number }: FakeConnection): Promise<number> => number;

function createGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

test("a connection is used again, and the others wait for it in order", async () => {
  const { use, made } = createPool(1);
  assert.deepEqual(await Promise.all([use(numberOf), use(numberOf), use(numberOf)]), [0, 0, 0]);
  assert.equal(made.length, 1);
});

test("no more than the maximum at once", async () => {
  const { use, made } = createPool(2);
  const gate = createGate();
  const uses = Array.from({ length: 5 }, () => use(() => gate.opened));
  await new Promise(setImmediate);
  assert.equal(made.length, 2);
  gate.open();
  await Promise.all(uses);
  assert.equal(made.length, 2);
});

test("one that broke while it was idle is replaced without a word", async () => {
  const { use, made } = createPool();
  await use(numberOf);
  made[0]!.destroy();
  assert.equal(await use(numberOf), 1);
});

test("one that turns out broken is replaced once, with a new one, where that may be", async () => {
  const { use, made } = createPool();
  const gate = createGate();
  const both = [use(() => gate.opened), use(() => gate.opened)];
  gate.open();
  await Promise.all(both);
  const seen: number[] = [];
  const breakOff = async (connection: FakeConnection): Promise<number> => {
    seen.push(connection.number);
    if (connection.number > 1) return connection.number;
    connection.destroy();
    throw new Error("broken");
  };
  assert.equal(await use(breakOff), 2);
  // The other idle one was not trusted either.
  assert.equal(seen.length, 2);
  assert.ok(made.slice(0, 2).every(({ isUsable }) => !isUsable));
});

test("nothing is repeated that may not be, nor on a new connection, nor where the connection goes on", async () => {
  const { use, made } = createPool();
  let count = 0;
  const breakOff = async (connection: FakeConnection): Promise<void> => {
    count += 1;
    connection.destroy();
    throw new Error("broken");
  };
  const refuse = async (): Promise<void> => {
    count += 1;
    throw new Error("refused");
  };
  await assert.rejects(use(breakOff), { message: "broken" });
  assert.equal(count, 1);
  await use(numberOf);
  await assert.rejects(use(breakOff, undefined, false), { message: "broken" });
  assert.equal(count, 2);
  await use(numberOf);
  await assert.rejects(use(refuse), { message: "refused" });
  assert.equal(count, 3);
  assert.equal(made.length, 3);
});

test("an abort ends what is under way, destroys its connection and lets the next one in", async () => {
  const { use, made } = createPool(1);
  const aborter = new AbortController();
  const underWay = use(() => new Promise(() => undefined), aborter.signal);
  const waiting = use(numberOf);
  await new Promise(setImmediate);
  aborter.abort(new Error("too late"));
  await assert.rejects(underWay, { message: "too late" });
  assert.equal(made[0]!.isUsable, false);
  assert.equal(await waiting, 1);
});

test("who gives up waiting takes no connection", async () => {
  const { use, made } = createPool(1);
  const gate = createGate();
  const first = use(() => gate.opened);
  const aborter = new AbortController();
  const waiting = use(numberOf, aborter.signal);
  const last = use(numberOf);
  aborter.abort(new Error("too late"));
  await assert.rejects(waiting, { message: "too late" });
  gate.open();
  await first;
  assert.equal(await last, 0);
  assert.equal(made.length, 1);
  await assert.rejects(use(numberOf, aborter.signal), { message: "too late" });
});

test("a connection that comes too late is destroyed, and its place is free", async () => {
  const { use, made, gate } = createPool(1);
  const opening = createGate();
  gate.opening = opening.opened;
  const aborter = new AbortController();
  const given = use(numberOf, aborter.signal);
  const waiting = use(numberOf);
  aborter.abort(new Error("too late"));
  await assert.rejects(given, { message: "too late" });
  opening.open();
  assert.equal(await waiting, 1);
  assert.deepEqual(
    made.map(({ isUsable }) => isUsable),
    [false, true],
  );
});

test("who cannot connect fails, and so may the next one, who tries by himself", async () => {
  const { use, gate } = createPool(1);
  gate.opening = Promise.reject(new Error("refused"));
  const outcomes = await Promise.allSettled([use(numberOf), use(numberOf)]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  gate.opening = Promise.resolve();
  assert.equal(await use(numberOf), 0);
});

test("one that was idle for a minute is not trusted", async () => {
  const { use, clock, made } = createPool();
  assert.equal(await use(numberOf), 0);
  clock.advance(59_999);
  assert.equal(await use(numberOf), 0);
  clock.advance(60_000);
  assert.equal(await use(numberOf), 1);
  assert.equal(made[0]!.isUsable, false);
});

test("closing says goodbye to the idle ones and breaks off those that do not go", async () => {
  const { pool, use, clock, made } = createPool();
  const gate = createGate();
  const underWay = use(() => gate.opened);
  await use(numberOf);
  pool.close();
  assert.equal(made[1]!.isClosed, true);
  assert.equal(made[1]!.isUsable, true);
  clock.advance(1_000);
  assert.equal(made[1]!.isUsable, false);
  gate.open();
  await underWay;
  assert.equal(made[0]!.isUsable, false);
});
