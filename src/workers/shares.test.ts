import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Quota } from "../core/quota.ts";
import { Leases } from "./leases.ts";
import type { FromWorker, LeaseMessage } from "./messages.ts";
import { Shares } from "./shares.ts";
import type { Leaseholder } from "./shares.ts";

type Message = Extract<FromWorker, { kind: "want" | "given" | "kept" }>;

/** A worker with one quota, and the messages on their way between it and the primary. */
class Worker implements Leaseholder {
  readonly toPrimary: Message[] = [];
  readonly toWorker: LeaseMessage[] = [];
  readonly leases = new Leases((message) => this.toPrimary.push(message));
  readonly quota: Quota;
  used = 0;
  waiting = 0;
  denied = 0;

  constructor(shares: Shares, max: number, workerCount: number, isPatient: boolean) {
    this.leases.workerCount = workerCount;
    this.leases.expect(shares.allot(this, workerCount));
    this.quota = this.leases.of("q", max, {
      used: () => this.used,
      isWaiting: () => this.waiting > 0,
      onGrown: () => this.takeWaiting(),
      onDenied: () => {
        this.denied += this.waiting;
        this.waiting = 0;
      },
      onOwing: () => undefined,
      isPatient,
    });
  }

  lease(message: LeaseMessage): void {
    this.toWorker.push(message);
  }

  take(): void {
    if (this.used < this.quota.limit) this.used += 1;
    else {
      this.waiting += 1;
      this.quota.want();
    }
  }

  end(): void {
    if (this.used === 0) return;
    this.used -= 1;
    this.quota.settle();
    this.takeWaiting();
  }

  takeWaiting(): void {
    while (this.waiting > 0 && this.used < this.quota.limit) {
      this.waiting -= 1;
      this.used += 1;
    }
    if (this.waiting > 0) this.quota.want();
  }

  /** @returns whether there was one */
  deliver(shares: Shares): boolean {
    const up = this.toPrimary.shift();
    if (up !== undefined) {
      if (up.kind === "want") shares.want(this, up.key, up.isPatient);
      else if (up.kind === "given") shares.given(this, up.key, up.count);
      else shares.kept(this, up.key);
      return true;
    }
    const down = this.toWorker.shift();
    if (down !== undefined) this.leases.on(down);
    return down !== undefined;
  }
}

function start(max: number, count: number, isPatient: boolean): { shares: Shares; workers: Worker[] } {
  const shares = new Shares();
  shares.configure(new Map([["q", max]]));
  return { shares, workers: Array.from({ length: count }, () => new Worker(shares, max, count, isPatient)) };
}

function deliverAll(shares: Shares, workers: readonly Worker[]): void {
  while (workers.some((worker) => worker.deliver(shares))) continue;
}

const sum = (workers: readonly Worker[], what: "used" | "waiting" | "denied"): number =>
  workers.reduce((total, worker) => total + worker[what], 0);

test("each worker begins with an equal part, and the rest goes to who asks first", () => {
  const { shares, workers } = start(5, 2, false);
  assert.deepEqual(
    workers.map(({ quota }) => quota.limit),
    [2, 2],
  );
  const [first] = workers;
  for (let times = 0; times < 3; times++) first?.take();
  deliverAll(shares, workers);
  assert.equal(first?.used, 3);
});

test("what one does not use goes to another; who cannot wait is denied once all is used", () => {
  const { shares, workers } = start(4, 2, false);
  const [first] = workers;
  for (let times = 0; times < 6; times++) {
    first?.take();
    deliverAll(shares, workers);
  }
  assert.deepEqual([first?.used, first?.denied], [4, 2]);
});

test("the patient wait until another has one left", () => {
  const { shares, workers } = start(2, 2, true);
  const [first, second] = workers;
  for (const worker of workers) worker.take();
  first?.take();
  deliverAll(shares, workers);
  assert.deepEqual([first?.used, first?.waiting, second?.quota.isOwing], [1, 1, true]);
  second?.end();
  deliverAll(shares, workers);
  assert.deepEqual([first?.used, first?.waiting], [2, 0]);
});

test("where everybody waits each keeps its part, and who waits no more gives", () => {
  const { shares, workers } = start(2, 2, true);
  const [first, second] = workers;
  for (const worker of workers) for (let times = 0; times < 3; times++) worker.take();
  deliverAll(shares, workers);
  for (let times = 0; times < 2; times++) {
    first?.end();
    deliverAll(shares, workers);
    assert.deepEqual([first?.used, second?.used], [1, 1]);
  }
  first?.end();
  deliverAll(shares, workers);
  assert.deepEqual([first?.used, second?.used], [0, 2]);
});

test("who retires gives what it has to others, though it has somebody waiting", () => {
  const { shares, workers } = start(2, 2, true);
  const [first, second] = workers;
  for (const worker of workers) for (let times = 0; times < 3; times++) worker.take();
  deliverAll(shares, workers);
  assert.ok(first !== undefined);
  first.leases.workerCount = Infinity;
  for (let times = 0; times < 2; times++) {
    first.end();
    deliverAll(shares, workers);
  }
  assert.deepEqual([first.used, second?.used], [0, 2]);
});

test("what a worker had is free when it has ended, and who asked it is answered", () => {
  const { shares, workers } = start(2, 2, false);
  const [first, second] = workers;
  assert.ok(first !== undefined && second !== undefined);
  second.take();
  first.take();
  first.take();
  first.deliver(shares);
  shares.remove(second);
  deliverAll(shares, [first]);
  assert.deepEqual([first.used, first.denied], [2, 0]);
});

test("where there are many, few questions bring them from one worker to another", () => {
  const { shares, workers } = start(3_000, 3, false);
  const [first] = workers;
  for (let times = 0; times < 3_000; times++) first?.take();
  let messages = 0;
  while (workers.some((worker) => worker.deliver(shares))) messages += 1;
  assert.deepEqual([first?.used, first?.denied], [3_000, 0]);
  assert.ok(messages < 300, `${messages} messages`);
});

test("whatever happens in whatever order: never more than the quota, and nobody waits while some are free", () => {
  const step = fc.record({ worker: fc.nat(2), what: fc.constantFrom("take", "end", "deliver") });
  fc.assert(
    fc.property(
      fc.oneof(fc.nat(6), fc.nat(40)),
      fc.boolean(),
      fc.array(step, { maxLength: 80 }),
      (max, isPatient, steps) => {
        const { shares, workers } = start(max, 3, isPatient);
        for (const { worker: index, what } of steps) {
          const worker = workers[index];
          if (what === "deliver") worker?.deliver(shares);
          else worker?.[what]();
          assert.ok(sum(workers, "used") <= max);
        }
        deliverAll(shares, workers);
        assert.ok(sum(workers, "used") <= max);
        if (sum(workers, "waiting") > 0) assert.equal(sum(workers, "used"), max);
        if (!isPatient) assert.equal(sum(workers, "waiting"), 0);
      },
    ),
  );
});
