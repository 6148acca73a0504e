import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Peer, Sink } from "./peers.ts";
import { readCpuMicros, start } from "../processes.ts";
import type { Scenario } from "./scenarios.ts";

export type Round =
  | { readonly kind: "done"; readonly messagesPerSecond: number; readonly cpuMicrosPerMessage: number | undefined }
  | { readonly kind: "failed"; readonly reason: string };

/** A round that takes longer has hung. */
const ROUND_TIMEOUT_MS = 120_000;
/** The sink's count comes through a pipe, a moment after smtp-source has its last reply. */
const COUNT_TIMEOUT_MS = 5_000;

/** Sends a round's messages, and looks whether all of them arrived. */
export async function runRound(scenario: Scenario, messages: number, peer: Peer, sink: Sink): Promise<Round> {
  const before = sink.count();
  const pid = peer.program?.child.pid;
  const cpuBefore = pid === undefined ? undefined : readCpuMicros(pid);
  const startedMs = performance.now();
  const source = start("smtp-source", [
    "-L",
    ...(scenario.keepsConnection ? ["-d"] : []),
    ...["-s", `${scenario.sessions}`, "-m", `${messages}`, "-l", `${scenario.messageBytes}`],
    ...(scenario.recipients > 1 ? ["-r", `${scenario.recipients}`] : []),
    ...["-f", "sender@bench.example", "-t", "user@bench.example", `127.0.0.1:${peer.port}`],
  ]);
  const timer = setTimeout(() => source.child.kill("SIGKILL"), ROUND_TIMEOUT_MS);
  const [code, signal] = (await once(source.child, "close")) as [number | null, string | null];
  const seconds = (performance.now() - startedMs) / 1_000;
  clearTimeout(timer);
  if (code !== 0)
    return { kind: "failed", reason: `smtp-source ended with ${signal ?? code}: ${source.output().trim()}` };
  const cpuMicros = pid === undefined || cpuBefore === undefined ? undefined : readCpuMicros(pid) - cpuBefore;

  const deadlineMs = performance.now() + COUNT_TIMEOUT_MS;
  while (sink.count() < before + messages && performance.now() < deadlineMs) await sleep(5);
  const arrived = sink.count() - before;
  if (arrived !== messages) return { kind: "failed", reason: `${arrived} of ${messages} messages arrived` };
  const cpuMicrosPerMessage = cpuMicros === undefined ? undefined : cpuMicros / messages;
  return { kind: "done", messagesPerSecond: messages / seconds, cpuMicrosPerMessage };
}
