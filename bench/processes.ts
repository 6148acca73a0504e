import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const started = new Set<ChildProcess>();
/** How long a server may take to listen. */
const START_TIMEOUT_MS = 60_000;

export interface Program {
  readonly child: ChildProcess;
  /** The last of what it printed. */
  output(): string;
}

/** @param outputFile for programs that print so much that reading it would cost time; `output` has nothing of it then */
export function start(command: string, args: readonly string[], outputFile?: number): Program {
  const to = outputFile ?? "pipe";
  const child = spawn(command, args, { stdio: ["ignore", to, to] });
  started.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-10_000);
    });
  child.once("error", (error) => {
    output += String(error);
  });
  child.once("close", () => started.delete(child));
  return { child, output: () => output };
}

export async function endAll(): Promise<void> {
  await Promise.all([...started].map(end));
}

/** How long a program may take to end its own children before it is killed. */
const END_TIMEOUT_MS = 2_000;

async function end(child: ChildProcess): Promise<void> {
  if (!started.has(child)) return;
  const ended = once(child, "close");
  // Dovecot and nginx have processes of their own, which SIGKILL to the first one would leave behind.
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), END_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

export async function endPrograms(programs: readonly (Program | undefined)[]): Promise<void> {
  await Promise.all(programs.filter((program) => program !== undefined).map(({ child }) => end(child)));
}

/** A port that was free a moment ago. */
export async function findPort(): Promise<number> {
  const [port = 0] = await findPorts(1);
  return port;
}

/** Ports that were free a moment ago, all different. */
export async function findPorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(
    servers.map((server) => {
      server.close();
      return once(server, "close");
    }),
  );
  return ports;
}

/** @param where a port of 127.0.0.1, or the path of a unix socket */
export async function awaitListening(program: Program, where: number | string): Promise<void> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!(await accepts(where))) {
    if (program.child.exitCode !== null || performance.now() > deadlineMs)
      throw new Error(`${program.child.spawnargs.join(" ")} does not listen:\n${program.output()}`);
    await sleep(20);
  }
}

async function accepts(where: number | string): Promise<boolean> {
  const socket = connect(typeof where === "number" ? { port: where, host: "127.0.0.1" } : { path: where });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** CPU time of all threads of a process, in microseconds. Source: Documentation/scheduler/sched-stats.rst of Linux. */
export function readCpuMicros(pid: number): number {
  let nanos = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  return nanos / 1_000;
}
