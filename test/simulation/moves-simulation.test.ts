import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./moves-simulation.ts";

/** MAILSHUNT_SIMULATION_SEEDS=100000 for as many; MAILSHUNT_SIMULATION_SEED=17 for one, with its story. */
const { MAILSHUNT_SIMULATION_SEEDS, MAILSHUNT_SIMULATION_SEED } = process.env;
const seeds = MAILSHUNT_SIMULATION_SEEDS === undefined ? undefined : Number(MAILSHUNT_SIMULATION_SEEDS);
const only = MAILSHUNT_SIMULATION_SEED === undefined ? undefined : Number(MAILSHUNT_SIMULATION_SEED);

/** How long it may take where no number of seeds is asked for, in ms. */
const BUDGET_MS = 15_000;

test("no message is lost, doubled or misplaced, whatever fails and whenever the daemon is killed", async (t) => {
  const startMs = performance.now();
  const phases = new Map<string, number>();
  let [kills, messages, runs] = [0, 0, 0];
  const isOver = (): boolean => (seeds === undefined ? performance.now() - startMs > BUDGET_MS : runs >= seeds);
  for (let seed = only ?? 1; runs === 0 || (!isOver() && only === undefined); seed += 1) {
    const outcome = await simulate(seed);
    assert.deepEqual(
      outcome.violations,
      [],
      `seed ${seed}; its story:\n${outcome.story.slice(only === undefined ? -60 : 0).join("\n")}`,
    );
    if (only !== undefined) t.diagnostic(outcome.story.join("\n"));
    runs += 1;
    kills += outcome.kills;
    messages += outcome.messages;
    for (const phase of outcome.phases) phases.set(phase, (phases.get(phase) ?? 0) + 1);
  }
  t.diagnostic(`${runs} seeds, ${messages} messages, ${kills} kills, moves: ${JSON.stringify([...phases])}`);
  if (only !== undefined) return;
  // It would prove nothing if no move came to its end, or none ever had to turn back.
  for (const phase of ["done", "rolled-back", "failed"]) assert.ok((phases.get(phase) ?? 0) > 0, `no move is ${phase}`);
  assert.ok(kills > 0);
});
