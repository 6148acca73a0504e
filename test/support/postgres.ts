import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, findFreePorts, makeSearchableFolder, removeFolder, runOk, startDaemon } from "./processes.ts";
import { writeTlsFiles } from "./certificates.ts";
import { until } from "./until.ts";

export const POSTGRES_PACKAGES = ["postgresql"];

const RUN_AS = { user: "postgres", group: "postgres" } as const;

/** Who may do everything, and needs no password on the unix socket. */
export const POSTGRES_ADMIN = "postgres";

export interface Postgres {
  /** `/folder/.s.PGSQL.PORT` */
  readonly socket: string;
  readonly port: number;
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string;
  /** Ends it at once, as a crash does; nothing committed is lost. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and socket, with the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Brings up a PostgreSQL of its own, on a free port of 127.0.0.1 (with TLS) and on a unix socket, in a new folder below
 * /tmp. Everybody but the administrator needs a password. Must run as root.
 */
export async function startPostgres(): Promise<Postgres> {
  const folder = await makeSearchableFolder("postgres");
  const [port = 0] = await findFreePorts(1);
  const programs = await findPrograms();
  const cluster = join(folder, "cluster");
  const tls = await writeTlsFiles(folder);
  await mkdir(join(folder, "socket"));
  await runOk(["chown", "-R", `${RUN_AS.user}:${RUN_AS.group}`, folder]);
  const initdb = ["--no-sync", "-D", cluster, "-U", POSTGRES_ADMIN, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust"];
  await runOk([join(programs, "initdb"), ...initdb], { runAs: RUN_AS });
  await writeFile(join(cluster, "pg_hba.conf"), ACCESS);
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: join(folder, "socket"),
    // What a crash of the machine would lose is of no matter here.
    fsync: "off",
    ssl: "on",
    ssl_cert_file: tls.certificateFile,
    ssl_key_file: tls.keyFile,
  };
  const words = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);

  let server: Daemon;
  const start = async (): Promise<void> => {
    server = startDaemon([join(programs, "postgres"), "-D", cluster, ...words], { runAs: RUN_AS });
    const look = (): true | undefined => {
      if (!server.isRunning()) throw new Error(`postgres ended: ${server.output()}`);
      return server.output().includes("is ready to accept connections") ? true : undefined;
    };
    await until("postgres answers", look, { describe: () => server.output() }).catch(async (error: unknown) => {
      await server.kill();
      throw error;
    });
  };
  /** Its children have process groups of their own, so that it must end them itself. */
  const kill = async (): Promise<void> => {
    server.signal("SIGQUIT");
    await until("postgres has ended", () => (server.isRunning() ? undefined : true));
    await server.kill();
  };
  await start();
  return {
    socket: join(folder, "socket", `.s.PGSQL.${port}`),
    port,
    caFile: tls.caFile,
    kill,
    start,
    async stop() {
      if (server.isRunning()) await kill();
      await removeFolder(folder);
    },
  };
}

/** Lines of pg_hba.conf: type, database, user, address, method. */
const ACCESS = `local all ${POSTGRES_ADMIN} trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
`;

/** Debian keeps each version's programs in a folder of its own, out of PATH. */
async function findPrograms(): Promise<string> {
  const versions = await readdir("/usr/lib/postgresql");
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error("there is no PostgreSQL below /usr/lib/postgresql");
  return join("/usr/lib/postgresql", newest, "bin");
}
