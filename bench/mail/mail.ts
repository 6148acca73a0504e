import type { Effort } from "../effort.ts";
import { takeTurns } from "../rounds.ts";
import { median } from "../statistics.ts";
import { startPeers, startSink, type Peer, type Sink } from "./peers.ts";
import { runRound, type Round } from "./round.ts";
import { scenarios, type Scenario } from "./scenarios.ts";

export const MAIL_PACKAGES = ["postfix", "haproxy"];

interface Row {
  readonly peer: Peer["name"];
  readonly rate: number;
  readonly cpuMicros: number | undefined;
  readonly fault: string | undefined;
}

/**
 * mailshunt beside HAProxy in TCP mode and beside nothing at all, from smtp-source to smtp-sink.
 * @returns whether every message of every row arrived
 */
export async function benchMail(folder: string, effort: Effort): Promise<boolean> {
  const sink = await startSink();
  const peers = await startPeers(folder, sink.port);
  console.log("              messages/s  to haproxy   to direct  CPU µs/message");
  let isGood = true;
  for (const scenario of scenarios) {
    console.log(scenario.name);
    const rows = await measure(scenario, peers, sink, effort);
    show(rows);
    isGood &&= rows.every(({ fault }) => fault === undefined);
  }
  return isGood;
}

async function measure(scenario: Scenario, peers: readonly Peer[], sink: Sink, effort: Effort): Promise<Row[]> {
  const messages = Math.ceil(scenario.messages * effort.share);
  const rounds = await takeTurns(peers, effort.rounds, (peer) => runRound(scenario, messages, peer, sink));
  return [...rounds].map(([peer, results]) => toRow(peer.name, results));
}

function toRow(peer: Peer["name"], results: readonly Round[]): Row {
  const done = results.slice(1).filter((result) => result.kind === "done");
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
