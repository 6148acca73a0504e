import { setTimeout as sleep } from "node:timers/promises";
import { readTree } from "../process-tree.ts";
import type { Peer } from "./peers/peer.ts";
import type { Sink } from "./sinks.ts";
import type { Sent } from "./sources.ts";

export type Round =
  | {
      readonly kind: "done";
      readonly sent: Sent;
      readonly messagesPerSecond: number;
      /** Of the peer's processes; undefined when nothing is in between. */
      readonly cpuMicrosPerMessage: number | undefined;
    }
  | { readonly kind: "failed"; readonly reason: string };

/** smtp-sink's count comes through a file, and closed sessions of others may still be on their way. */
const COUNT_TIMEOUT_MS = 5_000;

/** Sends a round's messages, and looks whether they arrived for every recipient. */
export async function runRound(
  peer: Pick<Peer, "port" | "program">,
  sink: Sink,
  send: (port: number) => Promise<Sent>,
): Promise<Round> {
  const pid = peer.program?.child.pid;
  const before = await sink.countRecipients();
  const cpuBefore = pid === undefined ? 0 : readTree(pid).cpuMicros;
  let sent: Sent;
  try {
    sent = await send(peer.port);
  } catch (error) {
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
  const cpuMicros = pid === undefined ? undefined : readTree(pid).cpuMicros - cpuBefore;

  const deadlineMs = performance.now() + COUNT_TIMEOUT_MS;
  let arrived = (await sink.countRecipients()) - before;
  while (arrived < sent.recipients && performance.now() < deadlineMs) {
    await sleep(5);
    arrived = (await sink.countRecipients()) - before;
  }
  if (arrived !== sent.recipients)
    return { kind: "failed", reason: `${arrived} of ${sent.recipients} recipients arrived` };
  return {
    kind: "done",
    sent,
    messagesPerSecond: sent.messages / sent.seconds,
    cpuMicrosPerMessage: cpuMicros === undefined ? undefined : cpuMicros / sent.messages,
  };
}
