import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitListening, findPort, start, type Program } from "../processes.ts";

const root = join(import.meta.dirname, "../..");

/** Takes everything and counts it: smtp-sink of Postfix, which runs by itself. */
export interface Sink {
  readonly port: number;
  /** Messages taken so far. */
  count(): number;
}

/** What stands between smtp-source and the sink. */
export interface Peer {
  readonly name: "direct" | "haproxy" | "mailshunt";
  readonly port: number;
  /** Whose CPU time counts; nobody's when nothing is in between. */
  readonly program: Program | undefined;
}

export async function startSink(): Promise<Sink> {
  const port = await findPort();
  const user = process.geteuid?.() === 0 ? ["-u", "nobody"] : [];
  const program = start("smtp-sink", ["-L", "-c", ...user, `127.0.0.1:${port}`, "1000"]);
  await awaitListening(program, port);
  return {
    port,
    count: () =>
      Number(
        program
          .output()
          .match(/mesg=\d+(?=\s)/g)
          ?.at(-1)
          ?.slice("mesg=".length) ?? 0,
      ),
  };
}

export async function startPeers(folder: string, sinkPort: number): Promise<Peer[]> {
  return [
    { name: "direct", port: sinkPort, program: undefined },
    await startHaproxy(folder, sinkPort),
    await startMailshunt(folder, sinkPort),
  ];
}

/** One thread, as mailshunt has one. */
async function startHaproxy(folder: string, sinkPort: number): Promise<Peer> {
  const port = await findPort();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen bench
  bind 127.0.0.1:${port}
  server sink 127.0.0.1:${sinkPort}
`,
  );
  const program = start("haproxy", ["-db", "-f", file]);
  await awaitListening(program, port);
  return { name: "haproxy", port, program };
}

/** As it would run in earnest: a table, a fallback, a log line for each recipient in a file. */
async function startMailshunt(folder: string, sinkPort: number): Promise<Peer> {
  const port = await findPort();
  const file = join(folder, "mailshunt.yaml");
  writeFileSync(
    file,
    `version: 1
log: { to: ${JSON.stringify(join(folder, "mailshunt.log"))} }
listeners:
  - { protocol: lmtp, address: "127.0.0.1:${port}" }
backends:
  sink: { lmtp: "127.0.0.1:${sinkPort}" }
tables:
  users: { type: static, entries: { user: sink } }
routing: { key: localpart, tables: [users], fallback: sink }
`,
  );
  const program = start(join(root, "bin", "mailshunt"), ["serve", "-c", file]);
  await awaitListening(program, port);
  return { name: "mailshunt", port, program };
}
