import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./moves-simulation.ts";

/**
 * MAILSHUNT_SIMULATION_SEEDS=100000 for as many, 50001-100000 for these, 17-17 for one with its whole story. Without it: as
 * many as fit into the budget, or all in a long run.
 */
const { MAILSHUNT_SIMULATION_SEEDS, MAILSHUNT_LONG_TESTS } = process.env;
const LONG_SEEDS = "100000";
/** How long it may take where no seeds are asked for, in ms. */
const BUDGET_MS = 40_000;

interface Seeds {
  readonly first: number;
  readonly last: number;
}

function readSeeds(): Seeds | undefined {
  const given = MAILSHUNT_SIMULATION_SEEDS ?? (MAILSHUNT_LONG_TESTS === "1" ? LONG_SEEDS : undefined);
  if (given === undefined) return undefined;
  const [from = "1", to] = given.split("-");
  return to === undefined ? { first: 1, last: Number(from) } : { first: Number(from), last: Number(to) };
}

test("no message is lost, doubled or misplaced, whatever fails and whenever the daemon is killed", async (t) => {
  const startMs = performance.now();
  const phases = new Map<string, number>();
  const seeds = readSeeds();
  const { first, last } = seeds ?? { first: 1, last: Number.POSITIVE_INFINITY };
  const isOne = first === last;
  const isOver = (): boolean => seeds === undefined && performance.now() - startMs > BUDGET_MS;
  let [kills, crashes, returns, messages, runs] = [0, 0, 0, 0, 0];
  for (let seed = first; seed <= last && !isOver(); seed += 1) {
    const outcome = await simulate(seed);
    const story = isOne ? outcome.story : outcome.story.slice(-60);
    assert.deepEqual(outcome.violations, [], `seed ${seed}; its story:\n${story.join("\n")}`);
    if (isOne) t.diagnostic(story.join("\n"));
    runs += 1;
    kills += outcome.kills;
    crashes += outcome.crashes;
    returns += outcome.returns;
    messages += outcome.messages;
    for (const phase of outcome.phases) phases.set(phase, (phases.get(phase) ?? 0) + 1);
  }
  const moves = [...phases].map(([phase, count]) => `${count} ${phase}`).join(", ");
  t.diagnostic(
    `${runs} seeds, ${messages} messages, ${kills} kills, ${crashes} dead workers; moves: ${moves}, ${returns} of them back`,
  );
  if (isOne) return;
  // It would prove nothing if no move came to its end, or none ever had to turn back.
  for (const phase of ["done", "rehearsed", "rolled-back", "failed"])
    assert.ok((phases.get(phase) ?? 0) > 0, `no move is ${phase}`);
  for (const count of [kills, crashes, returns]) assert.ok(count > 0);
});
