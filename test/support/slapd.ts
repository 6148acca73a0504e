import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "ldapts";
import { writeTlsFiles } from "./certificates.ts";
import { type Daemon, findFreePorts, makeSearchableFolder, removeFolder, runOk, startDaemon } from "./processes.ts";
import { until } from "./until.ts";

export const SLAPD_PACKAGES = ["slapd"];

const RUN_AS = { user: "openldap", group: "openldap" } as const;

export const SLAPD_BASE = "dc=example,dc=com";
export const SLAPD_ADMIN = { dn: `cn=admin,${SLAPD_BASE}`, password: "adminsecret" } as const;

export interface Slapd {
  /** On 127.0.0.1; StartTLS is offered. */
  readonly port: number;
  readonly tlsPort: number;
  /** `ldapi://%2F…` */
  readonly socketUrl: string;
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

export interface SlapdOptions {
  /** More lines for the database in slapd.conf. */
  readonly config?: string;
}

/** Brings up an OpenLDAP of its own, whose only entry is SLAPD_BASE, in a new folder below /tmp. Must run as root. */
export async function startSlapd({ config = "" }: SlapdOptions = {}): Promise<Slapd> {
  const folder = await makeSearchableFolder("slapd");
  const [port = 0, tlsPort = 0] = await findFreePorts(2);
  const tls = await writeTlsFiles(folder);
  const configPath = join(folder, "slapd.conf");
  const socketUrl = `ldapi://${encodeURIComponent(join(folder, "socket"))}`;
  await mkdir(join(folder, "database"));
  const lines = [
    ...["core", "cosine", "inetorgperson"].map((name) => `include /etc/ldap/schema/${name}.schema`),
    `pidfile ${folder}/pid`,
    "modulepath /usr/lib/ldap",
    "moduleload back_mdb",
    `TLSCACertificateFile ${tls.caFile}`,
    `TLSCertificateFile ${tls.certificateFile}`,
    `TLSCertificateKeyFile ${tls.keyFile}`,
    "database mdb",
    `suffix "${SLAPD_BASE}"`,
    `rootdn "${SLAPD_ADMIN.dn}"`,
    `rootpw ${SLAPD_ADMIN.password}`,
    `directory ${folder}/database`,
    "maxsize 67108864",
    // What a crash of the machine would lose is of no matter here.
    "dbnosync",
    config,
    "",
  ];
  await writeFile(configPath, lines.join("\n"));
  await runOk(["chown", "-R", `${RUN_AS.user}:${RUN_AS.group}`, folder]);
  const root = `dn: ${SLAPD_BASE}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example\n`;
  await runOk(["slapadd", "-q", "-f", configPath], { runAs: RUN_AS, input: root });

  let server: Daemon;
  const start = async (): Promise<void> => {
    const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort} ${socketUrl}`;
    // A level of debugging keeps it in the foreground.
    server = startDaemon(["slapd", "-d", "0", "-f", configPath, "-h", urls], { runAs: RUN_AS });
    const look = async (): Promise<true | undefined> => {
      if (!server.isRunning()) throw new Error(`slapd ended: ${server.output()}`);
      const client = new Client({ url: `ldap://127.0.0.1:${port}` });
      const answer = await client.bind(SLAPD_ADMIN.dn, SLAPD_ADMIN.password).then(
        () => true as const,
        () => undefined,
      );
      await client.unbind();
      return answer;
    };
    await until("slapd answers", look, { describe: () => server.output() }).catch(async (error: unknown) => {
      await server.kill();
      throw error;
    });
  };
  await start();
  return {
    port,
    tlsPort,
    socketUrl,
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
