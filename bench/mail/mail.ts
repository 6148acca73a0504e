import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Effort } from "../effort.ts";
import { compile } from "../generator/compile.ts";
import { readTree, resetPeaks } from "../process-tree.ts";
import { endPrograms } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { LMTP_PROXY_PACKAGES } from "./peers/lmtp-proxy.ts";
import type { Peer } from "./peers/peer.ts";
import { startPeers, type PeerChoice } from "./peers/start-peers.ts";
import { runRound } from "./round.ts";
import { toRow, type ScenarioRows } from "./rows.ts";
import { scenarios, userNames, type Scenario } from "./scenarios.ts";
import { formatRows, HEADING } from "./show.ts";
import { startSink } from "./sinks.ts";
import { runLmtpLoad, runSmtpSource, type Sent } from "./sources.ts";

export const MAIL_PACKAGES = [
  "postfix",
  "haproxy",
  "nginx",
  "libnginx-mod-stream",
  "dovecot-lmtpd",
  "gcc",
  "libc6-dev",
] as const;

export const mailPackages = ({ lmtpProxyFolder }: PeerChoice): readonly string[] =>
  lmtpProxyFolder === undefined ? MAIL_PACKAGES : [...MAIL_PACKAGES, ...LMTP_PROXY_PACKAGES];

/** mailshunt beside those who do the same or less, scenario by scenario, and shows each when it is done. */
export async function benchMail(folder: string, effort: Effort, choice: PeerChoice): Promise<ScenarioRows[]> {
  const loader = compile("lmtp-load", folder);
  const measured: ScenarioRows[] = [];
  console.log(HEADING);
  for (const [number, scenario] of scenarios.entries()) {
    const own = join(folder, `scenario${number}`);
    mkdirSync(own);
    chmodSync(own, 0o755);
    const rows = await measure(scenario, own, loader, effort, choice);
    console.log(formatRows(rows));
    measured.push(rows);
  }
  return measured;
}

/** All servers are new ones, so that peaks of memory are this scenario's. */
async function measure(
  scenario: Scenario,
  folder: string,
  loader: string,
  effort: Effort,
  choice: PeerChoice,
): Promise<ScenarioRows> {
  const { name, goals, isSmall, backends, recipients, source } = scenario;
  const sink = await startSink(scenario.sink, folder, backends);
  const users = new Map(namesOf(scenario).map((user, at) => [user, at % backends]));
  const peers = await startPeers({ folder, sinkPorts: sink.ports, users }, choice);
  for (const { program } of peers) if (program?.child.pid !== undefined) resetPeaks(program.child.pid);
  const rounds = await takeTurns(peers, effort.rounds, (peer) =>
    runRound(peer, sink, (port) => send(scenario, recipients, peer, port, loader, effort)),
  );
  const rows = [...rounds].map(([peer, results]) => toRow(peer.name, results, readPeak(peer)));
  await endPrograms([...peers.map(({ program }) => program), sink.program]);
  return { name, goals, isSmall, tools: `${source.program} → ${scenario.sink}`, rows };
}

function send(
  scenario: Scenario,
  users: number,
  peer: Peer,
  port: number,
  loader: string,
  effort: Effort,
): Promise<Sent> {
  const { source } = scenario;
  if (source.program === "smtp-source")
    return runSmtpSource(scenario, Math.ceil(source.messages * effort.share * peer.share), port);
  const { isPipelined } = source;
  return runLmtpLoad(loader, { ...scenario, isPipelined, users, seconds: effort.seconds }, port);
}

const namesOf = ({ source, recipients }: Scenario): string[] =>
  source.program === "smtp-source"
    ? userNames(recipients)
    : Array.from({ length: recipients }, (_, user) => `user${user}`);

const readPeak = ({ program }: Peer): number | undefined =>
  program?.child.pid === undefined ? undefined : readTree(program.child.pid).peakBytes;
