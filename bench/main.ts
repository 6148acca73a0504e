/**
 * mailshunt beside HAProxy in TCP mode and beside nothing at all, from smtp-source to smtp-sink.
 *
 *   npm run bench [-- --quick]
 *
 * All three take turns in each round, so that a busy moment of the machine hits them alike. Shown are medians.
 * Exits 1 when a message was lost or anything failed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePackages } from "../test/support/debian-packages.ts";
import { startPeers, startSink, type Peer, type Sink } from "./peers.ts";
import { endAll } from "./processes.ts";
import { runRound, type Round } from "./round.ts";
import { scenarios, type Scenario } from "./scenarios.ts";

interface Effort {
  readonly rounds: number;
  /** Of the messages that a scenario names. */
  readonly share: number;
}

const FULL: Effort = { rounds: 7, share: 1 };
const QUICK: Effort = { rounds: 3, share: 0.2 };

interface Row {
  readonly peer: Peer["name"];
  readonly rate: number;
  readonly cpuMicros: number | undefined;
  readonly fault: string | undefined;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

async function measure(scenario: Scenario, peers: readonly Peer[], sink: Sink, effort: Effort): Promise<Row[]> {
  const messages = Math.ceil(scenario.messages * effort.share);
  const rounds = new Map<Peer, Round[]>(peers.map((peer) => [peer, []]));
  // The first round warms up, and who begins changes with each.
  for (let round = 0; round <= effort.rounds; round++)
    for (let turn = 0; turn < peers.length; turn++) {
      const peer = peers[(round + turn) % peers.length];
      if (peer === undefined) continue;
      const result = await runRound(scenario, messages, peer, sink);
      if (round > 0 || result.kind === "failed") rounds.get(peer)?.push(result);
    }
  return [...rounds].map(([peer, results]) => toRow(peer.name, results));
}

function toRow(peer: Peer["name"], results: readonly Round[]): Row {
  const done = results.filter((result) => result.kind === "done");
  const cpu = done.flatMap(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage ?? []);
  return {
    peer,
    rate: median(done.map(({ messagesPerSecond }) => messagesPerSecond)),
    cpuMicros: cpu.length === 0 ? undefined : median(cpu),
    fault: results.find((result) => result.kind === "failed")?.reason,
  };
}

function show(rows: readonly Row[]): void {
  const rateOf = (name: Peer["name"]) => rows.find(({ peer }) => peer === name)?.rate ?? Number.NaN;
  for (const { peer, rate, cpuMicros, fault } of rows)
    console.log(
      fault === undefined
        ? [
            `  ${peer.padEnd(10)}`,
            rate.toFixed(0).padStart(12),
            (rate / rateOf("haproxy")).toFixed(2).padStart(12),
            (rate / rateOf("direct")).toFixed(2).padStart(12),
            (cpuMicros?.toFixed(0) ?? "-").padStart(16),
          ].join("")
        : `  ${peer.padEnd(10)}  FAILED: ${fault}`,
    );
}

async function run(effort: Effort): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "mailshunt-bench-"));
  try {
    const sink = await startSink();
    const peers = await startPeers(folder, sink.port);
    console.log(
      `${availableParallelism()} × ${cpus()[0]?.model ?? "?"}, Node ${process.version}, ${effort.rounds} rounds`,
    );
    console.log("              messages/s  to haproxy   to direct  CPU µs/message");
    let isGood = true;
    for (const scenario of scenarios) {
      console.log(scenario.name);
      const rows = await measure(scenario, peers, sink, effort);
      show(rows);
      isGood &&= rows.every(({ fault }) => fault === undefined);
    }
    return isGood;
  } finally {
    await endAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--quick")) {
  console.error("usage: npm run bench [-- --quick]");
  process.exit(64);
}
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => void endAll().then(() => process.exit(130)));

const packages = await ensurePackages(["postfix", "haproxy"]);
if (packages.kind === "missing") {
  console.error(`the Debian packages ${packages.packages.join(" ")} are needed: ${packages.reason}`);
  process.exit(1);
}
process.exitCode = (await run(args.includes("--quick") ? QUICK : FULL)) ? 0 : 1;
