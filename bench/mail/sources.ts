import { once } from "node:events";
import { start } from "../processes.ts";

/** What is sent: the same whichever program sends it. */
export interface Traffic {
  readonly sessions: number;
  readonly messageBytes: number;
  readonly recipients: number;
  /** Whether a session's messages go over one connection, or each over its own. */
  readonly keepsConnection: boolean;
}

export interface GeneratorTraffic extends Traffic {
  /** Commands in one write, as Postfix's lmtp client sends them. */
  readonly isPipelined: boolean;
  /** Recipients are user0 and on, this many of them. */
  readonly users: number;
  readonly seconds: number;
}

export interface Sent {
  readonly messages: number;
  readonly recipients: number;
  readonly seconds: number;
  /** How long a message took; smtp-source does not tell. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

/** A round that takes longer has hung. */
const ROUND_TIMEOUT_MS = 180_000;

/** Postfix's generator, which waits for each reply. @throws when a reply was not good or did not come */
export async function runSmtpSource(traffic: Traffic, messages: number, port: number): Promise<Sent> {
  const startedMs = performance.now();
  await run("smtp-source", [
    "-L",
    ...(traffic.keepsConnection ? ["-d"] : []),
    ...["-s", `${traffic.sessions}`, "-m", `${messages}`, "-l", `${traffic.messageBytes}`],
    ...(traffic.recipients > 1 ? ["-r", `${traffic.recipients}`] : []),
    ...["-f", "sender@bench.example", "-t", "user@bench.example", `127.0.0.1:${port}`],
  ]);
  const seconds = (performance.now() - startedMs) / 1_000;
  return { messages, recipients: messages * traffic.recipients, seconds };
}

/** Ours: see `generator/lmtp-load.c`. @throws as the other */
export async function runLmtpLoad(program: string, traffic: GeneratorTraffic, port: number): Promise<Sent> {
  const output = await run(program, [
    ...(traffic.isPipelined ? ["-p"] : []),
    ...(traffic.keepsConnection ? ["-d"] : []),
    ...["-s", `${traffic.sessions}`, "-t", `${traffic.seconds}`, "-l", `${traffic.messageBytes}`],
    ...["-r", `${traffic.recipients}`, "-u", `${traffic.users}`, `${port}`],
  ]);
  return JSON.parse(output) as Sent;
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const program = start(command, args);
  const timer = setTimeout(() => program.child.kill("SIGKILL"), ROUND_TIMEOUT_MS);
  const [code, signal] = (await once(program.child, "close")) as [number | null, string | null];
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command} ended with ${signal ?? code}: ${program.output().trim()}`);
  return program.output();
}
