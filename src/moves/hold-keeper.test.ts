import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { newMove } from "../../test/support/directory-contract-parts.ts";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import type { FakeClock } from "../../test/support/fake-clock.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { DirectoryFailed } from "../directory/directory-failed.ts";
import type { Directory } from "../directory/directory.ts";
import { MAX_PAGE } from "../directory/names.ts";
import { openDirectory } from "../directory/open-directory.ts";
import { Deliveries } from "../relay/deliveries.ts";
import type { Delivery, DeliveryStage } from "../relay/deliveries.ts";
import { HoldKeeper, LOOK_EVERY_MS } from "./hold-keeper.ts";
import type { DrainOutcome } from "./hold-keeper.ts";

/** As a daemon does that is killed. */
async function leaveUnclean(folder: string): Promise<void> {
  const path = join(folder, "directory.db");
  await (await openDirectory({ store: { kind: "sqlite", path } })).close();
  const db = new DatabaseSync(path);
  db.exec("UPDATE states SET value = 1 WHERE name = 'is_open'");
  db.close();
}

const SETTLE_MS = 60_000;
const TIMEOUT_MS = 600_000;
const ADMIN = { who: "admin", why: "" };

interface Bench {
  readonly directory: Directory;
  readonly clock: FakeClock;
  readonly deliveries: Deliveries;
  readonly keeper: HoldKeeper;
  readonly said: string[];
  readonly released: string[];
  /** What the directory does in place of its work. */
  readonly faults: { place?: Error; release?: Error; uncertain?: Error; expired?: Error; latest?: Error };
  /** What happens just before a release reaches the directory. */
  readonly before: { release?: () => Promise<void> };
  hold(user: string, owner?: string, deadlineMs?: number): Promise<DrainOutcome>;
  /** Moves time on, and waits for what that has set going. */
  pass(ms: number): Promise<void>;
  start(user: string, stage?: DeliveryStage): Delivery & { readonly cuts: string[] };
}

async function setUp(t: TestContext, folder = scratchFolder(t), clock = createFakeClock()): Promise<Bench> {
  const real = await openDirectory({ store: { kind: "sqlite", path: join(folder, "directory.db") } }, clock);
  const faults: Bench["faults"] = {};
  const before: Bench["before"] = {};
  const unless = <Args extends unknown[], Result>(
    name: keyof Bench["faults"],
    run: (...args: Args) => Result,
  ): ((...args: Args) => Result) => {
    return (...args) => {
      const fault = faults[name];
      if (fault !== undefined) throw fault;
      return run(...args);
    };
  };
  const directory: Directory = {
    ...real,
    holds: {
      ...real.holds,
      place: async (...args) => unless("place", real.holds.place)(...args),
      async release(...args) {
        await before.release?.();
        return unless("release", real.holds.release)(...args);
      },
      expired: unless("expired", real.holds.expired),
    },
    uncertain: {
      ...real.uncertain,
      add: async (...args) => unless("uncertain", real.uncertain.add)(...args),
      latest: unless("latest", real.uncertain.latest),
    },
  };
  const deliveries = new Deliveries();
  const said: string[] = [];
  const released: string[] = [];
  const keeper = new HoldKeeper({
    directory,
    deliveries,
    clock,
    options: () => ({
      hold: { parkMs: 0, maxParked: 0, deadlineMs: 900_000 },
      drain: { graceMs: 5_000, settleMs: SETTLE_MS, timeoutMs: TIMEOUT_MS },
    }),
    say: (level, text) => said.push(`${level}: ${text}`),
    onReleased: (user) => released.push(user),
  });
  t.after(async () => {
    await keeper.close();
    await real.close();
  });
  /** A write goes to another thread and back: whoever asks after it comes after it. */
  const settle = async (): Promise<void> => {
    await real.users.unset("nobody", ADMIN);
    for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    await real.users.unset("nobody", ADMIN);
  };
  return {
    directory: real,
    clock,
    deliveries,
    keeper,
    said,
    released,
    faults,
    before,
    async hold(user, owner = "admin", deadlineMs) {
      return (await keeper.hold({ user, owner, reason: "moving", deadlineMs }, ADMIN)).outcome;
    },
    async pass(ms) {
      await settle();
      clock.advance(ms);
      await settle();
    },
    start(user, stage = "dot") {
      const cuts: string[] = [];
      const delivery = {
        user,
        session: "S1",
        sinceMs: clock.nowMs(),
        backend: "old",
        stage,
        cuts,
        onAwaited: () => undefined,
        cut: (reason: string) => void cuts.push(reason),
      };
      deliveries.add(delivery);
      return delivery;
    },
  };
}

const DRAINED: DrainOutcome = { kind: "drained", waitedFor: 0, cut: 0, settledMs: 0 };
const FAILED = new DirectoryFailed("DIRECTORY_FULL", "the disk is full");

test("past its deadline a hold ends, its mail goes on and the operator is told, once", async (t) => {
  const { hold, pass, directory, clock, said, released } = await setUp(t);
  assert.deepEqual(await hold("ada"), DRAINED);
  await pass(900_000 - 1);
  assert.equal(directory.findHolds("ada").length, 1);
  assert.deepEqual(released, []);
  await pass(LOOK_EVERY_MS);
  assert.deepEqual(directory.findHolds("ada"), []);
  assert.deepEqual(released, ["ada"]);
  await pass(10 * LOOK_EVERY_MS);
  assert.deepEqual(said, [
    "warning: the hold of ada by admin (moving) has passed its deadline: released to where the user was",
  ]);
  assert.deepEqual(released, ["ada"]);
  const [change] = directory.history("ada");
  assert.deepEqual([change?.what, change?.who, change?.why], ["release", "mailshunt", "the deadline has passed"]);
  assert.ok(clock.pendingTimers > 0, "it goes on looking");
});

test("a hold that is extended between the look and the release stays", async (t) => {
  const { hold, pass, directory, clock, before, said, released } = await setUp(t);
  await hold("ada", "admin", clock.wallMs() + 10_000);
  let looks = 0;
  before.release = async () => {
    looks += 1;
    if (looks === 1) await hold("ada", "admin", clock.wallMs() + 100_000);
  };
  await pass(10_000);
  await pass(LOOK_EVERY_MS);
  assert.equal(looks, 1);
  assert.equal(directory.findHolds("ada").length, 1);
  await pass(89_000);
  await pass(LOOK_EVERY_MS);
  assert.deepEqual([looks, said, released], [1, [], []]);
  await pass(11_000);
  await pass(LOOK_EVERY_MS);
  assert.deepEqual([directory.findHolds("ada").length, released], [0, ["ada"]]);
});

test("a user is held while any owner holds, and woken by the last release alone", async (t) => {
  const { hold, pass, keeper, clock, said, released } = await setUp(t);
  await hold("ada", "a", clock.wallMs() + 10_000);
  await hold("ada", "b");
  await pass(11_000);
  await pass(LOOK_EVERY_MS);
  assert.deepEqual(released, []);
  assert.deepEqual(said, [
    "warning: the hold of ada by a (moving) has passed its deadline: it ended, but another holds the user",
  ]);
  const last = await keeper.release("ada", "b", ADMIN);
  assert.equal(last.kind === "released" && !last.isStillHeld, true);
  assert.deepEqual(released, ["ada"]);
  assert.equal((await keeper.release("ada", "b", ADMIN)).kind, "not-held");
  assert.deepEqual(released, ["ada"]);
});

test("the expired hold of an active move is left to it", async (t) => {
  const { hold, pass, directory, clock, released } = await setUp(t);
  await directory.users.set("ada", "old", ADMIN);
  await directory.moves.create([newMove("m1", "ada")], ADMIN);
  await hold("ada", "move:m1", clock.wallMs() + 1_000);
  await hold("bob", "admin", clock.wallMs() + 1_000);
  await pass(5_000);
  await pass(LOOK_EVERY_MS);
  assert.equal(directory.findHolds("ada").length, 1);
  assert.deepEqual(released, ["bob"]);
});

test("however many expired holds moves have, those of others end", async (t) => {
  const { directory, clock, pass, released } = await setUp(t);
  const moves = Array.from({ length: MAX_PAGE }, (_, at) => newMove(`m${at}`, `u${at}`));
  await directory.moves.create(moves, ADMIN);
  const deadlineMs = clock.wallMs() + 1;
  const hold = (user: string, owner: string): Promise<unknown> =>
    directory.holds.place({ user, owner, reason: "", deadlineMs }, ADMIN);
  await Promise.all(moves.map(({ id, user }) => hold(user, `move:${id}`)));
  await directory.holds.place({ user: "last", owner: "admin", reason: "", deadlineMs: deadlineMs + 1 }, ADMIN);
  await pass(LOOK_EVERY_MS);
  assert.deepEqual(released, ["last"]);
});

test("a drain waits for those past the dot, cuts the others after the grace, and is about its user alone", async (t) => {
  const { hold, pass, start, deliveries } = await setUp(t);
  const past = start("ada", "dot");
  const before = start("ada", "message");
  const other = start("bob", "message");
  let outcome: DrainOutcome | undefined;
  const holding = hold("ada").then((found) => (outcome = found));
  await pass(4_999);
  assert.deepEqual(before.cuts, []);
  await pass(1);
  assert.deepEqual([before.cuts.length, past.cuts.length, other.cuts.length], [1, 0, 0]);
  deliveries.remove(before);
  await pass(0);
  assert.equal(outcome, undefined);
  deliveries.remove(past);
  assert.deepEqual(await holding, { kind: "drained", waitedFor: 2, cut: 1, settledMs: 0 });
});

test("a drain that takes too long names what is left; the user stays held, and can be drained again", async (t) => {
  const { hold, pass, start, deliveries, directory, keeper } = await setUp(t);
  const stuck = start("ada");
  const holding = hold("ada");
  await pass(TIMEOUT_MS);
  const outcome = await holding;
  assert.deepEqual(outcome, { kind: "under-way", left: [stuck] });
  assert.equal(directory.findHolds("ada").length, 1);
  deliveries.remove(stuck);
  assert.deepEqual(await keeper.drain("ada"), DRAINED);
});

test("a drain proves nothing where the hold did not last that long", async (t) => {
  const { keeper, clock, hold, pass, start, deliveries } = await setUp(t);
  const [late, freed, again] = ["late", "freed", "again"].map((user) => start(user));
  const expired = hold("late", "admin", clock.wallMs() + 1_000);
  const released = hold("freed");
  const replaced = hold("again");
  await pass(0);
  await keeper.release("freed", "admin", ADMIN);
  await keeper.release("again", "admin", ADMIN);
  await pass(1);
  const second = hold("again");
  const [first, extended] = [hold("extended"), hold("extended")];
  await pass(LOOK_EVERY_MS);
  for (const delivery of [late, freed, again]) if (delivery !== undefined) deliveries.remove(delivery);
  assert.deepEqual(
    (await Promise.all([expired, released, replaced, second, first, extended])).map(({ kind }) => kind),
    ["not-held", "not-held", "not-held", "drained", "drained", "drained"],
  );
});

test("a hold whose deadline passes during the drain is not drained, though it is not yet released", async (t) => {
  const { clock, hold, pass, start, deliveries } = await setUp(t);
  const delivery = start("ann");
  const held = hold("ann", "admin", clock.wallMs() + 100);
  await pass(100);
  deliveries.remove(delivery);
  assert.equal((await held).kind, "not-held");
});

test("an uncertain delivery delays `drained` until it has settled, for its user alone", async (t) => {
  const { hold, pass, start, deliveries, keeper } = await setUp(t);
  const lost = start("ada");
  const holding = hold("ada");
  await pass(1_000);
  await keeper.onUncertain(lost);
  deliveries.remove(lost);
  assert.deepEqual(await hold("bob"), DRAINED);
  let isDone = false;
  void holding.then(() => (isDone = true));
  await pass(SETTLE_MS - 1);
  assert.equal(isDone, false);
  await pass(1);
  assert.deepEqual(await holding, { kind: "drained", waitedFor: 1, cut: 0, settledMs: SETTLE_MS });
});

test("what becomes uncertain while a drain settles is waited for, too", async (t) => {
  const { hold, pass, directory, clock } = await setUp(t);
  await directory.uncertain.add({ user: "ada", backend: "old", session: "S", atMs: clock.wallMs() });
  const holding = hold("ada");
  await pass(30_000);
  await directory.uncertain.addEveryone(clock.wallMs(), "a worker died");
  let isDone = false;
  void holding.then(() => (isDone = true));
  await pass(30_000);
  await pass(29_999);
  assert.equal(isDone, false);
  await pass(1);
  assert.deepEqual(await holding, { kind: "drained", waitedFor: 0, cut: 0, settledMs: 90_000 });
});

test("after a daemon that was killed everyone is uncertain", async (t) => {
  const folder = scratchFolder(t);
  const clock = createFakeClock();
  const { directory, hold, pass } = await setUp(t, folder, clock);
  await directory.uncertain.addEveryone(clock.wallMs(), "the daemon ended without closing the directory");
  const holding = hold("anyone");
  await pass(SETTLE_MS);
  assert.deepEqual(await holding, { kind: "drained", waitedFor: 0, cut: 0, settledMs: SETTLE_MS });
});

for (const [how, byMs] of [
  ["ahead", 3_600_000],
  ["back", -3_600_000],
] as const) {
  test(`what is uncertain settles just as long when the clock is set ${how}`, async (t) => {
    const { keeper, clock, hold, pass, start, deliveries } = await setUp(t);
    const delivery = start("bob");
    await keeper.onUncertain(delivery);
    deliveries.remove(delivery);
    clock.setWall(clock.wallMs() + byMs);
    const held = hold("bob");
    await pass(SETTLE_MS - 1);
    let isOver = false;
    void held.then(() => (isOver = true));
    await pass(0);
    assert.equal(isOver, false);
    await pass(1);
    assert.equal((await held).kind, "drained");
  });

  test(`everyone is uncertain just as long when the clock is set ${how} after a start that was not clean`, async (t) => {
    const folder = scratchFolder(t);
    await leaveUnclean(folder);
    const { clock, hold, pass } = await setUp(t, folder);
    clock.setWall(clock.wallMs() + byMs);
    const held = hold("bob");
    await pass(SETTLE_MS - 1);
    let isOver = false;
    void held.then(() => (isOver = true));
    await pass(0);
    assert.equal(isOver, false);
    await pass(1);
    assert.equal((await held).kind, "drained");
  });
}

test("what settles after the drain's time is over is told at once", async (t) => {
  const { keeper, hold, clock, start, deliveries, pass } = await setUp(t);
  const delivery = start("ada");
  const held = hold("ada");
  await pass(TIMEOUT_MS - SETTLE_MS + 1);
  await keeper.onUncertain(delivery);
  deliveries.remove(delivery);
  assert.deepEqual(await held, {
    kind: "uncertain",
    untilMs: clock.wallMs() + SETTLE_MS,
    why: "a delivery to old had no answer",
  });
});

test("a hold that the directory does not take is an error and no hold, and nothing is waited for", async (t) => {
  const { hold, start, directory, faults, clock } = await setUp(t);
  start("ada");
  faults.place = FAILED;
  const timers = clock.pendingTimers;
  await assert.rejects(hold("ada"), { code: "DIRECTORY_FULL" });
  assert.equal(clock.pendingTimers, timers);
  assert.deepEqual(directory.findHolds("ada"), []);
});

test("a directory that cannot say what is uncertain is an error, never `drained`", async (t) => {
  const { hold, faults } = await setUp(t);
  faults.latest = FAILED;
  await assert.rejects(hold("ada"), { code: "DIRECTORY_FULL" });
});

test("an uncertain delivery that cannot be written down is logged, and remembered until it has settled", async (t) => {
  const { hold, pass, start, deliveries, keeper, faults, said } = await setUp(t);
  const lost = start("ada");
  faults.uncertain = FAILED;
  await keeper.onUncertain(lost);
  deliveries.remove(lost);
  assert.deepEqual(said, [
    "error: uncertain delivery for ada to old (session S1) could not be written down, and is remembered only until " +
      "this daemon ends: the disk is full",
  ]);
  const holding = hold("ada");
  assert.deepEqual(await hold("bob"), DRAINED);
  await pass(SETTLE_MS - 1_000);
  await pass(1_000);
  assert.deepEqual(await holding, { kind: "drained", waitedFor: 0, cut: 0, settledMs: SETTLE_MS });
  assert.deepEqual(await hold("ada"), DRAINED);
});

test("expired holds that cannot be released are told once, and released when that works again", async (t) => {
  const { hold, pass, directory, faults, said } = await setUp(t);
  await hold("ada");
  faults.release = FAILED;
  await pass(900_000);
  for (let seconds = 0; seconds < 10; seconds += 1) await pass(LOOK_EVERY_MS);
  const told = "error: expired holds cannot be released, and are tried again each second: the disk is full";
  assert.deepEqual(said, [told]);
  assert.equal(directory.findHolds("ada").length, 1);
  delete faults.release;
  await pass(LOOK_EVERY_MS);
  assert.equal(directory.findHolds("ada").length, 0);
  assert.equal(said.length, 2);
  faults.expired = FAILED;
  for (let seconds = 0; seconds < 10; seconds += 1) await pass(LOOK_EVERY_MS);
  assert.deepEqual(said.slice(2), [told]);
});

test("uncertain deliveries of long ago are forgotten, younger ones are not", async (t) => {
  const { pass, directory, clock } = await setUp(t);
  await directory.uncertain.add({ user: "ada", backend: "old", session: "S", atMs: clock.wallMs() });
  await pass(3_600_000);
  await pass(LOOK_EVERY_MS);
  assert.notEqual(directory.uncertain.latest("ada"), undefined);
  await pass(86_400_000);
  await pass(LOOK_EVERY_MS);
  assert.equal(directory.uncertain.latest("ada"), undefined);
});

test("a closed keeper looks no more", async (t) => {
  const { hold, pass, keeper, directory, clock } = await setUp(t);
  await hold("ada");
  await keeper.close();
  assert.equal(clock.pendingTimers, 0);
  await pass(2_000_000);
  assert.equal(directory.findHolds("ada").length, 1);
});
