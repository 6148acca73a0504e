import { openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { compile } from "../generator/compile.ts";
import { awaitListening, findPort, findPorts, start, type Program } from "../processes.ts";

/** Takes everything and counts it. */
export interface Sink {
  /** Of 127.0.0.1. */
  readonly ports: readonly number[];
  readonly program: Program;
  /** Taken so far. smtp-sink does not count recipients: it is used where each message has one. */
  countRecipients(): Promise<number>;
}

export type SinkName = "smtp-sink" | "lmtp-sink";

/** @param ports how many; smtp-sink has one */
export function startSink(name: SinkName, folder: string, ports: number): Promise<Sink> {
  return name === "smtp-sink" ? startSmtpSink(folder) : startLmtpSink(folder, ports);
}

/** Postfix's. Without XCLIENT, which Dovecot would use and others not. */
async function startSmtpSink(folder: string): Promise<Sink> {
  const port = await findPort();
  const user = process.geteuid?.() === 0 ? ["-u", "nobody"] : [];
  const output = join(folder, "smtp-sink");
  const args = ["-L", "-c", "-C", "-m", "5000", ...user, `127.0.0.1:${port}`, "1000"];
  // It says its count after each message: through a pipe, reading that would take time from those that are measured.
  const program = start("smtp-sink", args, openSync(output, "a"));
  await awaitListening(program, port);
  return {
    ports: [port],
    program,
    countRecipients: async () => Number(/.*mesg=(\d+)\D/s.exec(readFileSync(output, "utf8").slice(-200))?.[1] ?? 0),
  };
}

/** Ours: see `generator/lmtp-sink.c`. */
async function startLmtpSink(folder: string, count: number): Promise<Sink> {
  const ports = await findPorts(count);
  const program = start(compile("lmtp-sink", folder), ports.map(String));
  for (const port of ports) await awaitListening(program, port);
  return { ports, program, countRecipients: () => askRecipients(ports[0] ?? 0) };
}

function askRecipients(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = connect(port, "127.0.0.1", () => socket.write("STAT\r\nQUIT\r\n"));
    socket.setEncoding("latin1").on("data", (text: string) => (heard += text));
    socket.once("error", reject);
    socket.once("close", () => resolve(Number(/ recipients=(\d+)/.exec(heard)?.[1] ?? Number.NaN)));
  });
}
