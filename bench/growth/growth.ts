import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Effort } from "../effort.ts";
import { compile } from "../generator/compile.ts";
import { readEventLoopP99Ms, startMailshunt } from "../mailshunt.ts";
import { startHaproxy } from "../mail/peers/haproxy.ts";
import type { Peer } from "../mail/peers/peer.ts";
import { runRound, type Round } from "../mail/round.ts";
import { startSink, type Sink } from "../mail/sinks.ts";
import { runLmtpLoad } from "../mail/sources.ts";
import { readTree, resetPeaks } from "../process-tree.ts";
import { endPrograms } from "../processes.ts";
import { takeTurns } from "../rounds.ts";
import { median } from "../statistics.ts";
import { axes, type Axis, type AxisLimits, type AxisName, type Step } from "./axes.ts";
import { fillDirectory } from "./fill-directory.ts";

export interface GrowthPoint {
  readonly x: number;
  readonly messagesPerSecond: number;
  /** What the axis counts, per second. */
  readonly unitsPerSecond: number;
  /** How long messages took, from the first byte to the last reply. */
  readonly p99Ms: number;
  readonly cpuMicrosPerMessage: number;
  readonly peakBytes: number;
  /** How late turns of the event loop were, 99 of 100 at most; the worst of all rounds. */
  readonly eventLoopP99Ms: number;
  /** As `unitsPerSecond`. Undefined where HAProxy is not measured. */
  readonly haproxyUnitsPerSecond: number | undefined;
}

export interface Curve extends Pick<Axis, "title" | "xLabel" | "unit"> {
  readonly name: AxisName;
  readonly points: readonly GrowthPoint[];
  /** Why there are no more points, where that is a fault. */
  readonly fault: string | undefined;
  /** Why there are none, where that is no fault. */
  readonly skipped: string | undefined;
}

export interface GrowthRequest extends AxisLimits {
  readonly effort: Effort;
  /** Undefined for all. */
  readonly only: AxisName | undefined;
}

/** How throughput, memory and the event loop's delay go with one thing that grows; shows each point when it is done. */
export async function benchGrowth(folder: string, request: GrowthRequest): Promise<Curve[]> {
  const loader = compile("lmtp-load", folder);
  const curves: Curve[] = [];
  for (const axis of axes(request)) {
    if (request.only !== undefined && axis.name !== request.only) continue;
    const own = join(folder, axis.name);
    mkdirSync(own);
    chmodSync(own, 0o755);
    console.log(`${axis.title}: ${axis.xLabel}`);
    curves.push(await measureAxis(axis, { folder: own, loader, effort: request.effort }));
    rmSync(own, { recursive: true, force: true });
  }
  return curves;
}

interface Place {
  readonly folder: string;
  readonly loader: string;
  readonly effort: Effort;
}

async function measureAxis(axis: Axis, place: Place): Promise<Curve> {
  const { name, title, xLabel, unit } = axis;
  const points: GrowthPoint[] = [];
  let fault: string | undefined;
  let skipped: string | undefined;
  let directoryUsers = 0;
  const directoryPath = join(place.folder, "directory.db");
  for (const step of axis.steps) {
    try {
      if (step.directoryUsers !== undefined) {
        await fillDirectory(directoryPath, directoryUsers, step.directoryUsers);
        directoryUsers = step.directoryUsers;
      }
      const folder = join(place.folder, `${step.x}`);
      mkdirSync(folder);
      const point = await measureStep(axis, step, { ...place, folder }, directoryPath);
      console.log(`  ${formatPoint(point, unit)}`);
      points.push(point);
    } catch (error) {
      if (axis.name === "workers" && String(error).includes('unknown key "workers"')) {
        skipped = "this mailshunt has one process and no `process: { workers }`";
        console.log(`  skipped: ${skipped}`);
        break;
      }
      fault = error instanceof Error ? error.message : String(error);
      console.log(`  FAILED at ${step.x}: ${fault}`);
      break;
    }
  }
  return { name, title, xLabel, unit, points, fault, skipped };
}

/** @throws when a recipient was lost or a server did not start */
async function measureStep(axis: Axis, step: Step, place: Place, directoryPath: string): Promise<GrowthPoint> {
  const { traffic, backends, workers, directoryUsers } = step;
  const sink = await startSink("lmtp-sink", place.folder, backends);
  // Of a directory's users none need stand in a table.
  const names = Array.from({ length: directoryUsers === undefined ? traffic.users : 1 }, (_, user) => `user${user}`);
  const users = new Map(names.map((user, at) => [user, at % backends]));
  const parts = { folder: place.folder, sinkPorts: sink.ports, users };
  const daemon = await startMailshunt({
    ...parts,
    workers,
    ...(directoryUsers === undefined ? {} : { directoryPath }),
  });
  const own: Peer = { name: "mailshunt", port: daemon.port, program: daemon.program, share: 1 };
  const pid = daemon.program.child.pid ?? 0;
  resetPeaks(pid);
  const haproxy = axis.hasHaproxy ? await startHaproxy(parts) : undefined;
  const delaysMs: number[] = [];
  const peers = haproxy === undefined ? [own] : [own, haproxy];
  const rounds = await takeTurns(peers, place.effort.growthRounds, async (peer) => {
    await readEventLoopP99Ms(daemon.adminPath);
    const round = await run(step, peer, sink, place);
    if (peer === own) delaysMs.push(await readEventLoopP99Ms(daemon.adminPath));
    return round;
  });
  const { peakBytes } = readTree(pid);
  await endPrograms([own.program, haproxy?.program, sink.program]);
  const ours = sum(axis, step, rounds.get(own) ?? []);
  return {
    x: step.x,
    ...ours,
    peakBytes,
    eventLoopP99Ms: Math.max(...delaysMs.slice(1)),
    haproxyUnitsPerSecond:
      haproxy === undefined ? undefined : sum(axis, step, rounds.get(haproxy) ?? []).unitsPerSecond,
  };
}

const run = ({ traffic }: Step, peer: Peer, sink: Sink, { loader, effort }: Place): Promise<Round> =>
  runRound(peer, sink, (port) => runLmtpLoad(loader, { ...traffic, seconds: effort.seconds }, port));

/** @param rounds the first one was to warm up */
function sum({ unit }: Axis, { traffic }: Step, rounds: readonly Round[]) {
  const done = rounds.map((round) => {
    if (round.kind === "failed") throw new Error(round.reason);
    return round;
  });
  const measured = done.slice(1);
  const messagesPerSecond = median(measured.map((round) => round.messagesPerSecond));
  const perMessage = { messages: 1, recipients: traffic.recipients, bytes: traffic.messageBytes }[unit];
  return {
    messagesPerSecond,
    unitsPerSecond: messagesPerSecond * perMessage,
    p99Ms: median(measured.map(({ sent }) => sent.p99Ms ?? Number.NaN)),
    cpuMicrosPerMessage: median(measured.map(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage ?? Number.NaN)),
  };
}

function formatPoint(point: GrowthPoint, unit: Axis["unit"]): string {
  const { x, unitsPerSecond, haproxyUnitsPerSecond, p99Ms, cpuMicrosPerMessage, peakBytes, eventLoopP99Ms } = point;
  return [
    x.toLocaleString("en").padStart(12),
    `${formatUnits(unitsPerSecond, unit)} of ${haproxyUnitsPerSecond === undefined ? "-" : formatUnits(haproxyUnitsPerSecond, unit)}`.padStart(
      44,
    ),
    `p99 ${p99Ms.toFixed(1)} ms`.padStart(18),
    `${cpuMicrosPerMessage.toFixed(0)} µs`.padStart(12),
    `${(peakBytes / 1e6).toFixed(0)} MB`.padStart(9),
    `event loop p99 ${eventLoopP99Ms.toFixed(1)} ms`.padStart(26),
  ].join("");
}

export const formatUnits = (perSecond: number, unit: Axis["unit"]): string =>
  unit === "bytes"
    ? `${(perSecond / 1e6).toLocaleString("en", { maximumFractionDigits: perSecond < 1e8 ? 1 : 0 })} MB/s`
    : `${Math.round(perSecond).toLocaleString("en")} ${unit}/s`;
