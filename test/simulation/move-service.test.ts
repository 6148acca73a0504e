import assert from "node:assert/strict";
import { test } from "node:test";
import type { BatchSummary } from "../../src/moves/move-service.ts";
import { createRandom, SimClock } from "./sim-clock.ts";
import { SimProcess } from "./sim-process.ts";
import { SimWorld } from "./sim-world.ts";

const CALM = { commit: 0, command: 0, check: 0, flaw: 0, outside: 0, lostReply: 0, orphan: 0 };
const OPERATOR = { who: "operator", why: "test" };

async function begin(userCount: number): Promise<{ readonly world: SimWorld; readonly daemon: SimProcess }> {
  const world = new SimWorld(createRandom(2), userCount, CALM);
  world.hasTable = false;
  const daemon = new SimProcess(world, true);
  await daemon.moves.recover();
  return { world, daemon };
}

/** Starts moves of all users, and lets time go until one is in that phase. */
async function startUntil(world: SimWorld, daemon: SimProcess, phase: string): Promise<string> {
  let found: string | undefined;
  daemon.moves.onEvent((event) => {
    if (event.kind === "moved-on" && event.move.phase === phase) found ??= event.move.id;
  });
  void daemon.moves.start({ users: world.users, to: "new", author: OPERATOR });
  await world.time.run(world.time.nowMs + 600_000, () => found !== undefined);
  assert.ok(found !== undefined, `no move was in ${phase}`);
  return found;
}

test("users who cannot be moved are named, and a dry run changes nothing", async () => {
  const { world, daemon } = await begin(3);
  world.disk.users.set("u2", "new");
  const request = { users: ["u1", "u1", "u2", "", "u3"], to: "new", author: OPERATOR };
  const dry = await daemon.moves.start({ ...request, isDryRun: true });
  assert.deepEqual(
    dry.planned.map(({ user, moveId }) => [user, moveId]),
    [
      ["u1", undefined],
      ["u3", undefined],
    ],
  );
  assert.deepEqual(
    dry.refused.map(({ why }) => why),
    ["repeated", "already-there", "cannot-move"],
  );
  assert.equal(world.disk.moves.length, 0);
  const starting = daemon.moves.start(request);
  await world.time.run(100);
  const { planned, batchId } = await starting;
  assert.equal(planned.length, 2);
  const again = await daemon.moves.start(request);
  assert.ok(again.refused.some(({ user, why }) => user === "u3" && why === "move-active"));
  assert.equal((await daemon.moves.batch(batchId ?? ""))?.active, 2);
  assert.equal(await daemon.moves.batch("none"), undefined);
  daemon.kill();
});

test("a clock that was set back by a day holds no move up for a day", async () => {
  const { world, daemon } = await begin(1);
  const summaries: BatchSummary[] = [];
  daemon.moves.onEvent((event) => void (event.kind === "batch-ended" && summaries.push(event.summary)));
  world.disk.uncertain.push({ kind: "everyone", atMs: SimClock.START_MS + 86_400_000, why: "the daemon was killed" });
  void daemon.moves.start({ users: world.users, to: "new", author: OPERATOR });
  await world.time.run(3_600_000, () => summaries.length > 0);
  assert.equal(summaries[0]?.done, 1);
  daemon.kill();
});

test("a batch goes on past a user who fails, ends with a summary, and no more run at once than may", async () => {
  const { world, daemon } = await begin(12);
  const summaries: BatchSummary[] = [];
  let most = 0;
  daemon.moves.onEvent((event) => {
    if (event.kind === "batch-ended") summaries.push(event.summary);
    const running = daemon.moves.list({ isActive: true }).filter(({ phase }) => phase !== "planned").length;
    most = Math.max(most, running);
  });
  const found = await startUntil(world, daemon, "pre-sync");
  void daemon.moves.cancel(found, OPERATOR);
  await world.time.run(3_600_000, () => summaries.length > 0);
  assert.equal(most, 3);
  const [summary] = summaries;
  assert.deepEqual([summary?.total, summary?.done, summary?.active], [12, 11, 0]);
  assert.deepEqual(
    summary?.failed.map(({ moveId, phase }) => [moveId, phase]),
    [[found, "rolled-back"]],
  );
  assert.equal(daemon.moves.show(found)?.reason, "cancelled by operator");
  // Tried again it joins its batch anew.
  void daemon.moves.retry(found, OPERATOR);
  await world.time.run(7_200_000, () => summaries.length > 1);
  assert.equal(summaries[1]?.done, 12);
  assert.deepEqual(world.violations, []);
  daemon.kill();
});

for (const phase of ["pre-sync", "lock", "hold", "final-sync", "verify", "release", "unlock"] as const)
  test(`an orderly end in ${phase}, and the start after it`, async () => {
    const { world, daemon } = await begin(1);
    const moveId = await startUntil(world, daemon, phase);
    let isClosed = false;
    void daemon.moves.close(60_000).then(() => (isClosed = true));
    await world.time.run(world.time.nowMs + 100_000, () => isClosed);
    assert.ok(isClosed);
    const isSwitched = phase === "release" || phase === "unlock";
    const wanted = phase === "pre-sync" ? "pre-sync" : isSwitched ? "done" : "rolled-back";
    assert.equal(world.disk.moves[0]?.state, wanted);
    assert.deepEqual(
      [...world.groups.values()].filter(({ isAlive }) => isAlive),
      [],
    );
    assert.deepEqual(world.disk.holds, []);
    daemon.kill();
    const next = new SimProcess(world, true);
    await next.moves.recover();
    await world.time.run(world.time.nowMs + 600_000, () => next.moves.show(moveId)?.isActive === false);
    assert.equal(next.moves.show(moveId)?.phase, wanted === "rolled-back" ? "rolled-back" : "done");
    assert.equal(next.moves.isLocked("u1"), false);
    assert.deepEqual(world.violations, []);
    next.kill();
  });

test("logins wait from the lock to the end, and a pause stops the sync at once", async () => {
  const { world, daemon } = await begin(1);
  const moveId = await startUntil(world, daemon, "pre-sync");
  await world.time.run(world.time.nowMs + 50, () => [...world.groups.values()].some(({ isAlive }) => isAlive));
  assert.equal(daemon.moves.isLocked("u1"), false);
  void daemon.moves.pause(moveId, OPERATOR);
  await world.time.run(world.time.nowMs + 1_000);
  assert.equal(daemon.moves.show(moveId)?.phase, "paused");
  assert.ok([...world.groups.values()].every(({ isAlive }) => !isAlive));
  void daemon.moves.resume(moveId, OPERATOR);
  const locked: boolean[] = [];
  daemon.moves.onEvent(() => locked.push(daemon.moves.isLocked("u1")));
  await world.time.run(3_600_000, () => daemon.moves.show(moveId)?.isActive === false);
  assert.equal(daemon.moves.show(moveId)?.phase, "done");
  // Not locked, then locked, then not: once.
  assert.equal(locked.filter((now, at) => now !== (locked[at - 1] ?? false)).length, 2);
  daemon.kill();
});

for (const phase of ["lock", "hold", "final-sync", "verify", "switch"] as const)
  test(`what a worker's death makes unknown rolls back a move in ${phase}`, async () => {
    const { world, daemon } = await begin(1);
    const moveId = await startUntil(world, daemon, phase);
    daemon.moves.interrupt("a worker died");
    await world.time.run(world.time.nowMs + 60_000);
    const details = daemon.moves.show(moveId);
    assert.deepEqual([details?.phase, details?.reason], ["rolled-back", "a worker died"]);
    daemon.kill();
  });

test("a move that failed is not tried again once the user has come to live elsewhere", async () => {
  const { world, daemon } = await begin(1);
  const failed = await startUntil(world, daemon, "pre-sync");
  void daemon.moves.cancel(failed, OPERATOR);
  await world.time.run(world.time.nowMs + 60_000, () => daemon.moves.show(failed)?.isActive === false);
  void daemon.moves.start({ users: ["u1"], to: "new", author: OPERATOR });
  await world.time.run(world.time.nowMs + 600_000, () => daemon.directory.findBackend("u1") === "new");
  await world.time.run(world.time.nowMs + 60_000);
  // It would make the new mailbox equal to the old one, without what has come since.
  const why = "u1 lives in new by now, not in old";
  assert.deepEqual(await daemon.moves.retry(failed, OPERATOR), { kind: "refused", why });
  assert.deepEqual(world.violations, []);
  daemon.kill();
});

test("no sync touches the mailbox of a user who has come to live there since the move was planned", async () => {
  const { world, daemon } = await begin(1);
  const moveId = await startUntil(world, daemon, "planned");
  world.disk.users.set("u1", "new");
  await world.time.run(world.time.nowMs + 60_000);
  const details = daemon.moves.show(moveId);
  assert.deepEqual([details?.phase, details?.reason], ["failed", "pre-sync: the user lives in new, not in old"]);
  assert.equal(world.groups.size, 0);
  daemon.kill();
});

test("an order that comes while the journals are read waits until that is done", async () => {
  const { world, daemon } = await begin(1);
  const moveId = await startUntil(world, daemon, "pre-sync");
  await world.time.run(world.time.nowMs + 50);
  daemon.kill();
  const next = new SimProcess(world, false);
  void next.moves.recover();
  void next.moves.cancel(moveId, OPERATOR);
  await world.time.run(world.time.nowMs + 60_000);
  const details = next.moves.show(moveId);
  assert.deepEqual(
    details?.journal.slice(-4).map(({ what }) => what),
    ["command-started", "restarted", "cancelled", "command-gone"],
  );
  assert.deepEqual([details?.phase, details?.reason], ["rolled-back", "cancelled by operator"]);
  next.kill();
});

test("a rehearsal copies and compares, ends before the lock, and the move after it goes all the way", async () => {
  const { world, daemon } = await begin(1);
  world.append("old", "u1", "m1");
  const phases = new Set<string>();
  daemon.moves.onEvent((event) => {
    if (event.kind === "moved-on") phases.add(event.move.phase);
  });
  void daemon.moves.start({ users: ["u1"], to: "new", isRehearsal: true, author: OPERATOR });
  await world.time.run(world.time.nowMs + 600_000, () => phases.has("rehearsed"));
  assert.deepEqual([...phases], ["planned", "pre-sync", "rehearsed"]);
  const [rehearsal] = daemon.moves.list();
  assert.ok(rehearsal);
  assert.deepEqual([rehearsal.isRehearsal, rehearsal.isActive], [true, false]);
  assert.deepEqual([world.residenceOf("u1"), world.mailbox("new", "u1")], ["old", ["m1"]]);
  assert.deepEqual(await daemon.moves.batch(rehearsal.batchId), {
    id: rehearsal.batchId,
    total: 1,
    active: 0,
    done: 1,
    failed: [],
  });
  const why = "only a move that failed or was rolled back can be tried again; this one is in rehearsed";
  assert.deepEqual(await daemon.moves.retry(rehearsal.id, OPERATOR), { kind: "refused", why });
  void daemon.moves.start({ users: ["u1"], to: "new", author: OPERATOR });
  await world.time.run(world.time.nowMs + 600_000, () => phases.has("done"));
  assert.equal(world.residenceOf("u1"), "new");
  assert.deepEqual(world.violations, []);
  daemon.kill();
});

test("a rehearsal that failed is tried again as one, also after a kill", async () => {
  const { world, daemon } = await begin(1);
  daemon.moves.onEvent((event) => {
    if (event.kind === "moved-on" && event.move.phase === "pre-sync") void daemon.moves.cancel(event.move.id, OPERATOR);
  });
  void daemon.moves.start({ users: ["u1"], to: "new", isRehearsal: true, author: OPERATOR });
  await world.time.run(world.time.nowMs + 60_000, () => world.disk.moves[0]?.state === "rolled-back");
  daemon.kill();
  const next = new SimProcess(world, false);
  await next.moves.recover();
  void next.moves.retry(world.disk.moves[0]?.id ?? "", OPERATOR);
  await world.time.run(world.time.nowMs + 600_000, () => world.disk.moves[0]?.state === "rehearsed");
  assert.equal(world.disk.moves[0]?.state, "rehearsed");
  assert.equal(world.residenceOf("u1"), "old");
  next.kill();
});
