import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startSink, type Peer, type Sink } from "../../bench/mail/peers.ts";
import { endAll } from "../../bench/processes.ts";
import { runRound } from "../../bench/mail/round.ts";
import { startHttpService, startMapServer } from "../../bench/tables/servers.ts";
import { askServer, prepare } from "../../bench/tables/tables.ts";
import { ensurePackages } from "../support/debian-packages.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const scenario = {
  name: "small",
  sessions: 2,
  messageBytes: 1_000,
  recipients: 2,
  keepsConnection: true,
  messages: 0,
};

const packages = await ensurePackages(["gcc", "libc6-dev", "postfix"]);
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

describe("a turn of a table server", { skip }, () => {
  const SECONDS = 0.05;
  after(endAll);

  test("counts lookups and their times", async (t) => {
    const parts = prepare(scratchFolder(t));
    for (const server of [await startMapServer(parts), await startHttpService(parts)]) {
      const round = await askServer(parts, server, 3, SECONDS);
      assert.equal(round.kind, "done");
      assert.ok(round.lookupsPerSecond > 0 && round.p50Ms > 0 && round.p99Ms >= round.p50Ms);
    }
  });

  test("fails when an answer is wrong", async (t) => {
    const parts = prepare(scratchFolder(t));
    const server = await startMapServer(parts);
    writeFileSync(parts.entriesPath, "user0001@bench.example\tanother\n");
    const round = await askServer(parts, server, 1, SECONDS);
    assert.ok(round.kind === "failed" && round.reason.includes("a wrong answer"), JSON.stringify(round));
  });

  test("fails when nobody listens", async (t) => {
    const parts = prepare(scratchFolder(t));
    const nobody = { name: "nobody", protocol: "redis", address: "1", map: "", program: undefined } as const;
    assert.equal((await askServer(parts, nobody, 1, SECONDS)).kind, "failed");
  });
});
