import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import type { FakeClock } from "../../test/support/fake-clock.ts";
import { scratchFolder } from "../../test/support/scratch-folder.ts";
import { until } from "../../test/support/until.ts";
import { WorkerSet } from "./worker-set.ts";

/** Stands for workers: it lets everybody in at `atMs`, if it answers. */
const worker = (answer: string, ping: string): string => `
  process.on("message", (message) => {
    if (message.kind === "start") process.send({ kind: "ready" });
    else if (message.kind === "last-login") ${answer};
    else if (message.kind === "ping") ${ping};
    else if (message.kind === "stop") process.exit(0);
  });
`;
const PONG = 'process.send({ kind: "answer", request: message.request, answer: {} })';
const ANSWERS = 'process.send({ kind: "answer", request: message.request, answer: { atMs: 5 } })';

async function startSet(
  t: TestContext,
  answer: string,
  ping = PONG,
  count = 1,
): Promise<{ readonly set: WorkerSet; readonly clock: FakeClock }> {
  // Before the folder goes, from which another worker may be starting.
  t.after(() => set.stop(10_000));
  const file = join(scratchFolder(t), "worker.mjs");
  writeFileSync(file, worker(answer, ping));
  const clock = createFakeClock();
  const set = new WorkerSet({
    count,
    file,
    program: "mailshunt",
    start: { version: "0", isBackground: false, loopToken: "x", path: "/" },
    disabledBackends: new Set(),
    clock,
    say: () => undefined,
    onUncertain: () => Promise.resolve(),
    onWritten: () => Promise.resolve(),
    onCrashed: () => Promise.resolve(),
  });
  await set.start({ contents: new Uint8Array(), listeners: new Map(), quotas: new Map() });
  set.open();
  return { set, clock };
}

test("a login counts that any worker let through", async (t) => {
  const { set } = await startSet(t, ANSWERS);
  assert.equal(await set.roster.lastLoginMs("ann"), 5);
});

test("a worker that hangs may have let a user in just now, and locks nobody out for ever", async (t) => {
  const { set, clock } = await startSet(t, "undefined");
  const asked = set.roster.lastLoginMs("ann");
  clock.advance(60_000);
  assert.equal(await asked, clock.wallMs());
});

test("whom a worker let in that has died, it let in just then", async (t) => {
  const { set, clock } = await startSet(t, ANSWERS);
  const diedMs = clock.wallMs();
  const [pid = 0] = set.pids;
  process.kill(pid, "SIGKILL");
  await until("it is gone", () => (set.pids.includes(pid) ? undefined : true));
  clock.advance(1_000);
  assert.ok((await set.roster.lastLoginMs("ann")) >= diedMs);
});

test("a worker that has not answered for a minute is killed, and another serves", async (t) => {
  const { set, clock } = await startSet(t, ANSWERS, "undefined");
  const [pid = 0] = set.pids;
  clock.advance(59_999);
  assert.deepEqual(set.pids, [pid]);
  clock.advance(1);
  await until("it is gone", () => (set.pids.includes(pid) ? undefined : true));
});

test("workers that die together are replaced together, after the first delay", async (t) => {
  const { set, clock } = await startSet(t, ANSWERS, PONG, 6);
  const before = set.pids;
  for (const pid of before) process.kill(pid, "SIGKILL");
  await until("they are gone", () => (set.pids.length === 0 ? true : undefined));
  clock.advance(1_000);
  assert.equal(set.pids.length, 6);
});

/** How often. */
const ASKED = 5_000;

test("what was asked and answered takes no memory", async (t) => {
  const { set } = await startSet(t, ANSWERS);
  const [one] = set.roster.all;
  assert.ok(one !== undefined);
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const ask = async (times: number): Promise<number> => {
    for (let index = 0; index < times; index++) await set.roster.ask(one, "last-login", { user: "ann" });
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = await ask(500);
  const grownBytes = (await ask(ASKED)) - before;
  assert.ok(grownBytes < 200 * ASKED, `${grownBytes} bytes`);
});
