import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { awaitListening, findPort, start, type Program } from "./processes.ts";

const root = join(import.meta.dirname, "..");

export interface MailshuntOptions {
  /** Of its own: configuration, log and admin socket are put there. */
  readonly folder: string;
  /** Each is a backend: b0, b1 and so on. The first one takes whoever is in no table. */
  readonly sinkPorts: readonly number[];
  /** User → number of the backend, in a table of the configuration; or a table as the configuration has it. */
  readonly users: ReadonlyMap<string, number> | TableSection;
  /** An existing directory, for one that is asked before the table. */
  readonly directoryPath?: string;
  /** Worker processes; undefined leaves what the daemon does by itself. */
  readonly workers?: number | undefined;
}

export interface TableSection {
  readonly type: string;
  readonly [option: string]: unknown;
}

export interface Mailshunt {
  readonly port: number;
  readonly program: Program;
  /** Unix socket with metrics. */
  readonly adminPath: string;
}

/** In its default configuration: a line in a file for each recipient, and metrics to be fetched. */
export async function startMailshunt(options: MailshuntOptions): Promise<Mailshunt> {
  const { folder, sinkPorts, users, directoryPath, workers } = options;
  const port = await findPort();
  const adminPath = join(folder, "admin.sock");
  const file = join(folder, "mailshunt.json");
  const table =
    "type" in users
      ? users
      : { type: "static", entries: Object.fromEntries([...users].map(([user, backend]) => [user, `b${backend}`])) };
  // JSON is YAML, too.
  const config = {
    version: 1,
    ...(workers === undefined ? {} : { process: { workers } }),
    log: { to: join(folder, "mailshunt.log") },
    listeners: [
      { protocol: "lmtp", address: `127.0.0.1:${port}` },
      { protocol: "admin", address: `unix:${adminPath}` },
    ],
    backends: Object.fromEntries(sinkPorts.map((sink, number) => [`b${number}`, { lmtp: `127.0.0.1:${sink}` }])),
    tables: { users: table },
    routing: { key: "localpart", tables: ["users"], fallback: "b0" },
    ...(directoryPath === undefined ? {} : { directory: { store: `sqlite:${directoryPath}` } }),
  };
  writeFileSync(file, JSON.stringify(config, undefined, 1));
  const program = start(join(root, "bin", "mailshunt"), ["serve", "-c", file]);
  for (const where of [port, adminPath]) await awaitListening(program, where);
  return { port, program, adminPath };
}

/** Highest sample of each metric, whatever its labels: that of the busiest worker. */
export async function readMetrics(adminPath: string): Promise<ReadonlyMap<string, number>> {
  const text = await new Promise<string>((resolve, reject) => {
    const asked = request({ socketPath: adminPath, path: "/metrics" }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => (body += part));
      response.once("end", () => resolve(body));
    });
    asked.once("error", reject);
    asked.end();
  });
  const highest = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^([a-z_0-9]+)(?:\{.*\})? (\S+)$/i.exec(line) ?? [];
    if (name !== undefined) highest.set(name, Math.max(Number(value), highest.get(name) ?? -Infinity));
  }
  return highest;
}

/** The delay is sampled by a timer of 10 ms, whose own time is part of each sample. Source: eventLoopLag.js of prom-client. */
const SAMPLING_MS = 10;

/**
 * How late the event loop's turns were, 99 of 100 of them at most, since this was last asked.
 * NaN where the daemon does not tell.
 */
export async function readEventLoopP99Ms(adminPath: string): Promise<number> {
  const metrics = await readMetrics(adminPath);
  const seconds = metrics.get("nodejs_eventloop_lag_p99_seconds") ?? Number.NaN;
  return Math.max(0, seconds * 1_000 - SAMPLING_MS);
}
