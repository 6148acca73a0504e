import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeTlsFiles } from "./certificates.ts";
import { type Daemon, findFreePorts, makeSearchableFolder, removeFolder, runOk, startDaemon } from "./processes.ts";
import { until } from "./until.ts";

export const REDIS_PACKAGES = ["redis-server"];

const RUN_AS = { user: "redis", group: "redis" } as const;

export interface Redis {
  /** The users of `RedisOptions` log in here; `default` needs no password. */
  readonly socket: string;
  /** Likewise, on 127.0.0.1. */
  readonly port: number;
  readonly tlsPort: number;
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string;
  /** SIGSTOP: it takes what is sent, and answers nothing. SIGCONT ends that. */
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** SIGKILL; what it has answered is not lost. */
  kill(): Promise<void>;
  /** Starts it again, on the same ports and socket, with the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** More lines for redis.conf. */
  readonly config?: string;
}

/** Brings up a Redis of its own on free ports of 127.0.0.1 and a unix socket, in a new folder below /tmp. Must run as root. */
export async function startRedis({ config = "" }: RedisOptions = {}): Promise<Redis> {
  const folder = await makeSearchableFolder("redis");
  const [port = 0, tlsPort = 0] = await findFreePorts(2);
  const socket = join(folder, "socket");
  const tls = await writeTlsFiles(folder);
  const configPath = join(folder, "redis.conf");
  const lines = [
    "bind 127.0.0.1",
    `port ${port}`,
    `tls-port ${tlsPort}`,
    `tls-cert-file ${tls.certificateFile}`,
    `tls-key-file ${tls.keyFile}`,
    `tls-ca-cert-file ${tls.caFile}`,
    "tls-auth-clients no",
    `unixsocket ${socket}`,
    "unixsocketperm 777",
    `dir ${folder}`,
    'save ""',
    // Written with each answer; only a crash of the machine would lose it.
    "appendonly yes",
    "appendfsync no",
    config,
    "",
  ];
  await writeFile(configPath, lines.join("\n"));
  await runOk(["chown", "-R", `${RUN_AS.user}:${RUN_AS.group}`, folder]);

  let server: Daemon;
  const start = async (): Promise<void> => {
    server = startDaemon(["redis-server", configPath], { runAs: RUN_AS });
    const look = (): true | undefined => {
      if (!server.isRunning()) throw new Error(`redis-server ended: ${server.output()}`);
      return server.output().includes("ready to accept connections at") ? true : undefined;
    };
    await until("redis answers", look, { describe: () => server.output() }).catch(async (error: unknown) => {
      await server.kill();
      throw error;
    });
  };
  await start();
  return {
    socket,
    port,
    tlsPort,
    caFile: tls.caFile,
    signal: (name) => server.signal(name),
    kill: () => server.kill(),
    start,
    async stop() {
      await server.kill();
      await removeFolder(folder);
    },
  };
}
