import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { measureHolds, measureIdleHolds, measureSwitches } from "../../bench/moves/latencies.ts";
import { runMoves } from "../../bench/moves/rate.ts";
import { startSlowStore } from "../../bench/moves/store.ts";
import { startWorld } from "../../bench/moves/world.ts";
import { endAll, findPort } from "../../bench/processes.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

describe("the benchmark of moves", () => {
  after(endAll);

  test("measures holds, switches and moves", async (t) => {
    const store = await startSlowStore(() => 20);
    const folder = join(scratchFolder(t), "world");
    const world = await startWorld({ folder, parallel: 5, oldPort: store.port, newPort: store.port });
    try {
      const holds = [...(await measureIdleHolds(world, 2)), ...(await measureHolds(world, store, 2))];
      assert.equal(holds.length, 4);
      for (const ms of holds) assert.ok(ms > 0);
      const { visibleMs, ordinaryMs, stale } = await measureSwitches(world, 2);
      assert.deepEqual([visibleMs.length, stale], [2, 0]);
      assert.ok(ordinaryMs.length > 0);
      for (const preset of ["nothing", "true"] as const) {
        const round = await runMoves(world, preset, 7);
        assert.ok(round.kind === "done" && round.movesPerSecond > 0 && round.cpuMicros > 0, JSON.stringify(round));
      }
    } finally {
      await world.stop();
      store.close();
    }
  });

  test("fails when users are not moved", async (t) => {
    const folder = join(scratchFolder(t), "world");
    const nobody = await findPort();
    const world = await startWorld({ folder, parallel: 5, oldPort: nobody, newPort: nobody });
    try {
      const round = await runMoves(world, "nothing", 3);
      assert.ok(round.kind === "failed" && round.reason.startsWith("3 users were not moved"), JSON.stringify(round));
    } finally {
      await world.stop();
    }
  });
});
