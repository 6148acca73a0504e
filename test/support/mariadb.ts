import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeTlsFiles } from "./certificates.ts";
import { type Daemon, findFreePorts, makeSearchableFolder, removeFolder, runOk, startDaemon } from "./processes.ts";
import { until } from "./until.ts";

export const MARIADB_PACKAGES = ["mariadb-server"];

const RUN_AS = { user: "mysql", group: "mysql" } as const;

/** Who may do everything, without a password. */
export const MARIADB_ADMIN = "root";

export interface Mariadb {
  readonly socket: string;
  readonly port: number;
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string;
  /** SIGKILL; nothing committed is lost. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and socket, with the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Brings up a MariaDB of its own, on a free port of 127.0.0.1 (with TLS) and on a unix socket, in a new folder below
 * /tmp. Must run as root.
 */
export async function startMariadb(): Promise<Mariadb> {
  const folder = await makeSearchableFolder("mariadb");
  const [port = 0] = await findFreePorts(1);
  const tls = await writeTlsFiles(folder);
  const databases = join(folder, "databases");
  const socket = join(folder, "socket");
  await mkdir(databases);
  await runOk(["chown", "-R", `${RUN_AS.user}:${RUN_AS.group}`, folder]);
  const install = ["--no-defaults", `--datadir=${databases}`, "--auth-root-authentication-method=normal"];
  await runOk(["mariadb-install-db", ...install, "--skip-test-db", "--skip-name-resolve"], { runAs: RUN_AS });
  const words = [
    "--no-defaults",
    `--datadir=${databases}`,
    `--socket=${socket}`,
    "--bind-address=127.0.0.1",
    `--port=${port}`,
    `--ssl-cert=${tls.certificateFile}`,
    `--ssl-key=${tls.keyFile}`,
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=8M",
    // What a crash of the machine would lose is of no matter here.
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
  ];

  let server: Daemon;
  const start = async (): Promise<void> => {
    server = startDaemon(["mariadbd", ...words], { runAs: RUN_AS });
    const look = (): true | undefined => {
      if (!server.isRunning()) throw new Error(`mariadbd ended: ${server.output()}`);
      return server.output().includes("ready for connections") ? true : undefined;
    };
    await until("mariadbd answers", look, { describe: () => server.output() }).catch(async (error: unknown) => {
      await server.kill();
      throw error;
    });
  };
  await start();
  return {
    socket,
    port,
    caFile: tls.caFile,
    kill: () => server.kill(),
    start,
    async stop() {
      await server.kill();
      await removeFolder(folder);
    },
  };
}
