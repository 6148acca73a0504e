import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { MoveEntry } from "../../src/moves/move.ts";
import { createRandom } from "./sim-clock.ts";
import { SimProcess } from "./sim-process.ts";
import { SimWorld } from "./sim-world.ts";

const CALM = { commit: 0, command: 0, check: 0, flaw: 0, outside: 0, lostReply: 0, orphan: 0 };
const OPERATOR = { who: "operator", why: "test" };
const USER = "u1";
/** Phases that a worker's death interrupts here. The hold has no delivery to wait for, and may be over by then. */
const BETWEEN = ["final-sync", "lock", "switch", "verify"];

interface Run {
  readonly world: SimWorld;
  /** Commits until the move ended or the daemon was killed. */
  readonly commits: number;
}

/** One move, with a message in the mailbox and one on its way. */
async function run(
  hasTable: boolean,
  hasFlaw: boolean,
  /** And compares the mailboxes in any case. */
  hasLock: boolean,
  kill?: { readonly at: number; readonly how: "killed-before" | "killed-after" | "worker-dies" },
): Promise<Run> {
  const world = new SimWorld(createRandom(1), 1, {
    ...CALM,
    flaw: hasFlaw ? 1000 : 0,
    orphan: kill === undefined ? 0 : 1000,
  });
  world.hasTable = hasTable;
  world.hasLock = hasLock;
  world.comparesMailboxes = hasFlaw || hasLock;
  if (hasTable) world.table.set(USER, "old");
  for (const message of ["m1", "m2"]) {
    world.append("old", USER, message);
    world.accepted.get(USER)?.add(message);
  }
  let commits = 0;
  const daemon = new SimProcess(world, true, () => {
    commits += 1;
    if (commits !== kill?.at) return "done";
    if (kill.how === "worker-dies") {
      world.time.after(0, () => daemon.crashWorker(0));
      return "done";
    }
    world.time.after(0, () => daemon.kill());
    return kill.how;
  });
  await daemon.moves.recover();
  const started = daemon.moves.start({ users: [USER], to: "new", author: OPERATOR });
  started.catch(() => undefined);
  const isOver = (): boolean =>
    daemon.isDead || (world.disk.moves.length > 0 && world.disk.moves.every((move) => !move.isActive));
  await world.time.run(3_600_000, isOver);
  if (kill === undefined) return { world, commits };
  world.calm();
  const next = kill.how === "worker-dies" ? daemon : new SimProcess(world, false);
  if (next !== daemon) await next.moves.recover();
  world.pendingCount += 1;
  const send = (): void =>
    void next.deliver(USER, "m3", (isAccepted) => {
      if (!isAccepted) return void world.time.after(1_000, send);
      world.pendingCount -= 1;
      world.accepted.get(USER)?.add("m3");
    });
  world.time.after(1_000, send);
  const isQuiet = (): boolean => world.pendingCount === 0 && world.disk.moves.every((move) => !move.isActive);
  await world.time.run(world.time.nowMs + 3_600_000, isQuiet);
  world.checkEnd();
  next.kill();
  return { world, commits };
}

const eventsOf = (world: SimWorld): readonly string[] =>
  [...world.disk.journals.values()].flat().map(({ entryJson }) => (JSON.parse(entryJson) as MoveEntry).event.kind);

/** Where a move stood when it heard that a worker had died. */
function phaseAt({ disk }: SimWorld): string {
  const entries = [...disk.journals.values()].flat().map(({ entryJson }) => JSON.parse(entryJson) as MoveEntry);
  const at = entries.findIndex(({ event }) => event.kind === "interrupted");
  return entries[at - 1]?.state.phase ?? "none";
}

for (const [hasTable, hasFlaw, hasLock] of [
  [false, false, true],
  [false, false, false],
  [false, true, true],
  [false, true, false],
  [true, false, true],
  [true, false, false],
  [true, true, true],
] as const)
  test(`killed at each commit of a move that ${hasFlaw ? "rolls back" : "is done"}${hasTable ? ", with an outside table" : ""}${hasLock ? "" : ", without a command that locks"}`, async (t: TestContext) => {
    const whole = await run(hasTable, hasFlaw, hasLock);
    assert.deepEqual(whole.world.violations, []);
    assert.equal(whole.world.disk.moves[0]?.state, hasFlaw ? "rolled-back" : "done");
    t.diagnostic(eventsOf(whole.world).join(", "));
    const ends = new Set<string>();
    const wentBack = new Set<string>();
    for (let at = 1; at <= whole.commits; at += 1)
      for (const how of ["killed-before", "killed-after", "worker-dies"] as const) {
        const { world } = await run(hasTable, hasFlaw, hasLock, { at, how });
        assert.deepEqual(world.violations, [], `${how} commit ${at}; ${world.story.join("\n")}`);
        const state = world.disk.moves[0]?.state ?? "never planned";
        ends.add(state);
        if (how === "worker-dies" && state === "rolled-back") wentBack.add(phaseAt(world));
      }
    t.diagnostic(`${whole.commits} commits, ends: ${[...ends].join(", ")}; ${[...wentBack].join(", ")} rolled back`);
    assert.ok(ends.has("rolled-back"));
    if (!hasFlaw)
      assert.deepEqual(
        [...wentBack].filter((phase) => phase !== "hold").toSorted(),
        BETWEEN.filter((phase) => hasLock || phase !== "verify"),
      );
    if (!hasFlaw) assert.ok(ends.has("done"));
  });
