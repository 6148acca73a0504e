import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startSink, type Peer, type Sink } from "../../bench/peers.ts";
import { endAll } from "../../bench/processes.ts";
import { runRound } from "../../bench/round.ts";
import { ensurePackages } from "../support/debian-packages.ts";

const scenario = {
  name: "small",
  sessions: 2,
  messageBytes: 1_000,
  recipients: 2,
  keepsConnection: true,
  messages: 0,
};

const packages = await ensurePackages(["postfix"]);
const skip = packages.kind === "missing" ? `${packages.packages.join(" ")} missing: ${packages.reason}` : false;

describe("a round of the benchmark", { skip }, () => {
  let sink: Sink;
  before(async () => {
    sink = await startSink();
  });
  after(endAll);
  const direct = (port: number): Peer => ({ name: "direct", port, program: undefined });

  test("counts what arrived", async () => {
    const round = await runRound(scenario, 20, direct(sink.port), sink);
    assert.equal(round.kind, "done");
    assert.equal(sink.count(), 20);
  });

  test("fails when a message did not arrive", async () => {
    const lossy: Sink = { port: sink.port, count: () => Math.min(sink.count(), 39) };
    assert.deepEqual(await runRound(scenario, 20, direct(sink.port), lossy), {
      kind: "failed",
      reason: "19 of 20 messages arrived",
    });
  });

  test("fails when nobody listens", async () => {
    const round = await runRound(scenario, 20, direct(1), sink);
    assert.equal(round.kind, "failed");
  });
});
