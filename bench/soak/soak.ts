import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../generator/compile.ts";
import { readEventLoopP99Ms, startMailshunt } from "../mailshunt.ts";
import { runRound } from "../mail/round.ts";
import { startSink } from "../mail/sinks.ts";
import { runLmtpLoad, type GeneratorTraffic } from "../mail/sources.ts";
import { readTree } from "../process-tree.ts";
import { endPrograms } from "../processes.ts";
import { median } from "../statistics.ts";

/** Taken after a turn, when its clients have gone. */
export interface SoakSample {
  readonly minutes: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly eventLoopP99Ms: number;
}

export interface Soak {
  readonly minutes: number;
  readonly messages: number;
  readonly recipients: number;
  readonly samples: readonly SoakSample[];
  readonly fault: string | undefined;
}

const BACKENDS = 4;
/** How long each kind of traffic is sent before the next one has its turn. */
const TURN_SECONDS = 2;

const usual = {
  sessions: 20,
  messageBytes: 4_096,
  recipients: 1,
  keepsConnection: true,
  isPipelined: true,
  users: 100,
  seconds: TURN_SECONDS,
};
const TURNS: readonly GeneratorTraffic[] = [
  usual,
  { ...usual, keepsConnection: false },
  { ...usual, isPipelined: false, recipients: 10 },
  { ...usual, isPipelined: false, keepsConnection: false },
  { ...usual, sessions: 4, messageBytes: 5_000_000 },
  { ...usual, sessions: 200, messageBytes: 20_000, recipients: 3 },
];

/** Mail of every kind, one after the other, for a time; memory and descriptors must not grow. */
export async function runSoak(folder: string, minutes: number, workers: number | undefined): Promise<Soak> {
  const own = join(folder, "soak");
  mkdirSync(own);
  const loader = compile("lmtp-load", own);
  const sink = await startSink("lmtp-sink", own, BACKENDS);
  const users = new Map(Array.from({ length: usual.users }, (_, user) => [`user${user}`, user % BACKENDS]));
  const { program, port, adminPath } = await startMailshunt({ folder: own, sinkPorts: sink.ports, users, workers });
  const pid = program.child.pid ?? 0;
  const startedMs = performance.now();
  const minutesSince = (): number => (performance.now() - startedMs) / 60_000;
  const samples: SoakSample[] = [];
  let [messages, recipients] = [0, 0];
  let fault: string | undefined;
  console.log(`soak, ${minutes} minutes`);
  for (let turn = 0; minutesSince() < minutes && fault === undefined; turn += 1) {
    const traffic = TURNS[turn % TURNS.length] ?? usual;
    const round = await runRound({ port, program }, sink, (to) => runLmtpLoad(loader, traffic, to));
    if (round.kind === "failed") {
      fault = round.reason;
      break;
    }
    messages += round.sent.messages;
    recipients += round.sent.recipients;
    const { residentBytes, descriptors } = readTree(pid);
    samples.push({
      minutes: minutesSince(),
      residentBytes,
      descriptors,
      eventLoopP99Ms: await readEventLoopP99Ms(adminPath),
    });
  }
  await endPrograms([program, sink.program]);
  const soak = { minutes, messages, recipients, samples, fault };
  console.log(describeSoak(soak).text);
  return soak;
}

/** Of the median in the second quarter of the time, by which the last quarter's may be more. */
const MEMORY_TOLERANCE = 0.1;
/** Sessions with stores come and go. */
const DESCRIPTOR_TOLERANCE = 10;

export interface SoakVerdict {
  readonly isGood: boolean;
  readonly text: string;
}

/** Whether nothing was lost and nothing grew; the first quarter is to warm up. */
export function describeSoak({ messages, recipients, samples, fault, minutes }: Soak): SoakVerdict {
  if (fault !== undefined) return { isGood: false, text: `FAILED: ${fault}` };
  const between = (from: number, to: number, of: (sample: SoakSample) => number): number =>
    median(samples.filter((each) => each.minutes >= from * minutes && each.minutes <= to * minutes).map(of));
  const [memory, descriptors] = [
    (sample: SoakSample) => sample.residentBytes,
    (sample: SoakSample) => sample.descriptors,
  ].map((of) => ({ early: between(0.25, 0.5, of), late: between(0.75, 2, of) })) as [Change, Change];
  const grew = [
    memory.late <= memory.early * (1 + MEMORY_TOLERANCE) ? "" : "memory GREW",
    descriptors.late <= descriptors.early + DESCRIPTOR_TOLERANCE ? "" : "descriptors GREW",
  ].filter((word) => word !== "");
  const text = [
    `${messages.toLocaleString("en")} messages for ${recipients.toLocaleString("en")} recipients, all of which arrived;`,
    `resident ${megabytes(memory.early)} in the second quarter and ${megabytes(memory.late)} in the last one,`,
    `descriptors ${descriptors.early} and ${descriptors.late}: ${grew.length === 0 ? "nothing grew" : grew.join(", ")}`,
  ].join(" ");
  return { isGood: grew.length === 0, text };
}

interface Change {
  readonly early: number;
  readonly late: number;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
