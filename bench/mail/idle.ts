import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { mkdirSync, chmodSync } from "node:fs";
import { readTree } from "../process-tree.ts";
import { endPrograms } from "../processes.ts";
import type { Peer, PeerName } from "./peers/peer.ts";
import { startPeers, type PeerChoice } from "./peers/start-peers.ts";
import { startSink } from "./sinks.ts";

/** What it costs to keep a client that has said LHLO and nothing since. */
export interface IdleRow {
  readonly peer: PeerName;
  readonly connections: number;
  readonly bytesPerConnection: number;
  readonly fault: string | undefined;
}

/** The first ones load code, grow what all share, and make the garbage collector look at what the start has left. */
const FIRST_CONNECTIONS = 1_000;
/** Dovecot has a process for each connection, and 100 at most. */
const DOVECOT_FIRST_CONNECTIONS = 10;
const DOVECOT_CONNECTIONS = 80;
/** How many connect at once: fewer than any of them lets wait to be accepted. */
const AT_ONCE = 50;
/** What was needed for the moment has been given back when memory has not changed for so long, in ms; and at most. */
const STEADY_MS = 4_000;
const SETTLE_TIMEOUT_MS = 20_000;
const LOOK_EVERY_MS = 250;
const REPLY_TIMEOUT_MS = 20_000;
/** Of mailshunt. */
export const IDLE_GOAL_BYTES = 7 * 1_024;

/** Resident memory of each peer with some connections, and with many more. */
export async function benchIdle(folder: string, connections: number, choice: PeerChoice): Promise<IdleRow[]> {
  const own = join(folder, "idle");
  mkdirSync(own);
  chmodSync(own, 0o755);
  const sink = await startSink("lmtp-sink", own, 1);
  const peers = await startPeers({ folder: own, sinkPorts: sink.ports, users: new Map([["user0", 0]]) }, choice);
  const rows: IdleRow[] = [];
  console.log("idle connections beyond the first ones");
  for (const peer of peers) {
    if (peer.program === undefined || peer.name === "lmtp_proxy") continue;
    const row =
      peer.name === "dovecot"
        ? await measure(peer, DOVECOT_FIRST_CONNECTIONS, DOVECOT_CONNECTIONS)
        : await measure(peer, FIRST_CONNECTIONS, connections);
    console.log(`  ${peer.name.padEnd(12)}${formatRow(row)}`);
    rows.push(row);
  }
  await endPrograms([...peers.map(({ program }) => program), sink.program]);
  return rows;
}

function formatRow({ peer, connections, bytesPerConnection, fault }: IdleRow): string {
  if (fault !== undefined) return `FAILED: ${fault}`;
  const figure = `${(bytesPerConnection / 1_024).toFixed(1)} KiB each (${connections})`;
  if (peer !== "mailshunt") return figure;
  return `${figure}, goal ${bytesPerConnection <= IDLE_GOAL_BYTES ? "reached" : "MISSED"}: ${IDLE_GOAL_BYTES / 1_024} KiB`;
}

async function measure({ name, port, program }: Peer, first: number, connections: number): Promise<IdleRow> {
  const pid = program?.child.pid ?? 0;
  const sockets: Socket[] = [];
  try {
    await open(sockets, first, port);
    const before = await settle(pid);
    await open(sockets, connections, port);
    const bytes = (await settle(pid)) - before;
    return { peer: name, connections, bytesPerConnection: bytes / connections, fault: undefined };
  } catch (error) {
    return { peer: name, connections, bytesPerConnection: Number.NaN, fault: String(error) };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Resident bytes, when they no longer change. */
async function settle(pid: number): Promise<number> {
  const startMs = performance.now();
  let [bytes, sinceMs] = [0, startMs];
  for (;;) {
    const nowMs = performance.now();
    const { residentBytes } = readTree(pid);
    if (residentBytes !== bytes) [bytes, sinceMs] = [residentBytes, nowMs];
    if (nowMs - sinceMs >= STEADY_MS || nowMs - startMs >= SETTLE_TIMEOUT_MS) return bytes;
    await sleep(LOOK_EVERY_MS);
  }
}

async function open(sockets: Socket[], count: number, port: number): Promise<void> {
  for (let left = count; left > 0; left -= AT_ONCE) {
    const some = Array.from({ length: Math.min(left, AT_ONCE) }, () => connect(port, "127.0.0.1"));
    sockets.push(...some);
    await Promise.all(some.map(greet));
  }
}

/** Ends when LHLO is answered. */
async function greet(socket: Socket): Promise<void> {
  const signal = AbortSignal.timeout(REPLY_TIMEOUT_MS);
  socket.setNoDelay();
  await once(socket, "data", { signal });
  socket.write("LHLO bench.example\r\n");
  let heard = "";
  while (!/^250 .*\r\n$/m.test(heard)) heard += String((await once(socket, "data", { signal }))[0]);
}
