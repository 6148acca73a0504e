import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectImap, type ImapClient } from "./imap-client.ts";
import { type Daemon, findFreePorts, makeSearchableFolder, removeFolder, runOk, startDaemon } from "./processes.ts";
import { until } from "./until.ts";

/** `sasl2-bin` has saslpasswd2. */
export const CYRUS_PACKAGES = ["cyrus-imapd", "sasl2-bin"];

export interface CyrusOptions {
  /** Mailboxes that exist, such as `ada@example.com`; everybody else is unknown. */
  readonly users: readonly string[];
  /** Mailboxes over their quota: 452 4.2.2 at RCPT. */
  readonly fullUsers?: readonly string[];
  /** SASL mechanisms, each offered alone on a TCP port of its own. */
  readonly mechanisms?: readonly string[];
  /** More lines for imapd.conf. */
  readonly config?: string;
}

/** Who may deliver over TCP. */
export const CYRUS_PROXY = { user: "proxy", password: 'proxy secret="+" \\' } as const;
const ADMIN = { user: "admin", password: "adminsecret" } as const;

export interface Cyrus {
  /** Needs no AUTH. */
  readonly lmtpSocket: string;
  /** Needs AUTH as CYRUS_PROXY; offers PLAIN, LOGIN, CRAM-MD5 and SCRAM-SHA-256. */
  readonly lmtpPort: number;
  /** The TCP port that offers one mechanism of `CyrusOptions.mechanisms` and no other. */
  portOffering(mechanism: string): number;
  /** Every message of a user, oldest first, as stored. */
  messages(user: string): Promise<Buffer[]>;
  /** One header of every message of a user. */
  headers(user: string, name: string): Promise<string[]>;
  /** In KiB; undefined lifts it. */
  setQuota(user: string, kib: number | undefined): Promise<void>;
  /** SIGKILL to every process of it. */
  kill(): Promise<void>;
  /** Starts it again, on the same ports and sockets, with the same mail. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const RUN_AS = { user: "cyrus", group: "mail" } as const;
const ALL_MECHANISMS = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256";

/**
 * Brings up a Cyrus of its own: imapd and lmtpd on free ports of 127.0.0.1, lmtpd on a unix socket, users of the
 * wire in a sasldb, configuration and spool in a new folder below /tmp. Must run as root.
 */
export async function startCyrus(options: CyrusOptions): Promise<Cyrus> {
  const folder = await makeSearchableFolder("cyrus");
  const mechanisms = options.mechanisms ?? [];
  const [imapPort = 0, lmtpPort = 0, ...mechanismPorts] = await findFreePorts(2 + mechanisms.length);
  const imapdConf = join(folder, "imapd.conf");
  const cyrusConf = join(folder, "cyrus.conf");
  const lmtpSocket = join(folder, "conf/socket/lmtp");
  for (const name of ["spool", "conf", ...CONF_FOLDERS.map((sub) => `conf/${sub}`)]) await mkdir(join(folder, name));
  await runOk(["chown", "-R", `${RUN_AS.user}:${RUN_AS.group}`, join(folder, "spool"), join(folder, "conf")]);
  await writeFile(imapdConf, imapdConfiguration(folder, mechanisms) + (options.config ?? ""));
  await writeFile(cyrusConf, services(imapdConf, imapPort, lmtpPort, lmtpSocket, mechanismPorts));
  for (const { user, password } of [CYRUS_PROXY, ADMIN]) {
    const command = ["saslpasswd2", "-p", "-c", "-f", join(folder, "conf/sasldb2"), "-u", "cyrus.example", user];
    await runOk(command, { runAs: RUN_AS, input: password });
  }
  // Without syslog a fault in imapd.conf makes master end silently; this one says it.
  await runOk(["/usr/lib/cyrus/bin/ctl_cyrusdb", "-C", imapdConf, "-r"], { runAs: RUN_AS });

  let master: Daemon;
  let admin: ImapClient | undefined;
  const logIn = async (): Promise<ImapClient> => {
    const client = await connectImap(imapPort);
    await client.command(`LOGIN ${ADMIN.user} ${ADMIN.password}`);
    return client;
  };
  const start = async (): Promise<void> => {
    const pidFile = join(folder, "conf/master.pid");
    const command = ["cyrmaster", "-D", "-M", cyrusConf, "-C", imapdConf, "-p", pidFile];
    master = startDaemon(command, { runAs: RUN_AS });
    const look = (): Promise<ImapClient | undefined> => {
      if (!master.isRunning()) throw new Error(`cyrmaster ended: ${master.output()}`);
      return logIn().catch(() => undefined);
    };
    admin = await until("cyrus answers", look).catch(async (error: unknown) => {
      await master.kill();
      throw error;
    });
  };
  const command = (text: string): ReturnType<ImapClient["command"]> => {
    if (admin === undefined) throw new Error("cyrus does not run");
    return admin.command(text);
  };
  const disconnect = (): void => {
    admin?.close();
    admin = undefined;
  };
  const fetch = async (user: string, what: string): Promise<Buffer[]> => {
    await command(`EXAMINE "user/${user}"`);
    const found = await command(`UID FETCH 1:* (BODY.PEEK[${what}])`);
    return found.flatMap(({ literals }) => literals);
  };
  const setQuota = async (user: string, kib: number | undefined): Promise<void> => {
    await command(`SETQUOTA "user/${user}" (${kib === undefined ? "" : `STORAGE ${kib}`})`);
  };

  await start();
  for (const user of [...options.users, ...(options.fullUsers ?? [])]) {
    await command(`CREATE "user/${user}"`);
    await command(`SETACL "user/${user}" ${ADMIN.user} lrsi`);
  }
  for (const user of options.fullUsers ?? []) {
    // A mailbox is over its quota once it holds more than that: lmtpd asks whether it is, not whether it would be.
    await command(`APPEND "user/${user}" {${FILLER.length}+}\r\n${FILLER}`);
    await setQuota(user, 0);
  }
  return {
    lmtpSocket,
    lmtpPort,
    portOffering(mechanism) {
      const port = mechanismPorts[mechanisms.indexOf(mechanism)];
      if (port === undefined) throw new Error(`${mechanism} is not among the mechanisms of this Cyrus`);
      return port;
    },
    messages: (user) => fetch(user, ""),
    async headers(user, name) {
      const found = await fetch(user, `HEADER.FIELDS (${name})`);
      return found.map((header) =>
        header
          .toString("latin1")
          .replace(/^[^:]*:\s*/, "")
          .trim(),
      );
    },
    setQuota,
    async kill() {
      disconnect();
      await master.kill();
    },
    start,
    async stop() {
      disconnect();
      await master.stop();
      await removeFolder(folder);
    },
  };
}

const FILLER = "Subject: fills the mailbox\r\n\r\n";
const CONF_FOLDERS = ["db", "lock", "log", "msg", "proc", "ptclient", "quota", "socket", "sync", "user"];

/** A setting holds for one service where the service's name in cyrus.conf stands before it: `lmtp_admins` is one. */
function imapdConfiguration(folder: string, mechanisms: readonly string[]): string {
  const perPort = mechanisms.map(
    (name, index) => `lmtpmech${index}_sasl_mech_list: ${name}\nlmtpmech${index}_admins: ${CYRUS_PROXY.user}\n`,
  );
  return `configdirectory: ${folder}/conf
proc_path: ${folder}/conf/proc
mboxname_lockpath: ${folder}/conf/lock
lmtpsocket: ${folder}/conf/socket/lmtp
defaultpartition: default
partition-default: ${folder}/spool
servername: cyrus.example
defaultdomain: example.com
virtdomains: userid
unixhierarchysep: yes
altnamespace: no
lmtp_downcase_rcpt: yes
admins: ${ADMIN.user}
lmtp_admins: ${CYRUS_PROXY.user}
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: ${folder}/conf/sasldb2
sasl_mech_list: ${ALL_MECHANISMS}
${perPort.join("")}`;
}

/** Each program is told its imapd.conf: master does not hand its own -C down. */
function services(
  imapdConf: string,
  imapPort: number,
  lmtpPort: number,
  lmtpSocket: string,
  mechanismPorts: readonly number[],
): string {
  const lmtp = (name: string, listen: string): string =>
    `  ${name} cmd="lmtpd -C ${imapdConf}" listen="${listen}" prefork=0 maxchild=20`;
  return [
    "START {",
    `  recover cmd="ctl_cyrusdb -C ${imapdConf} -r"`,
    "}",
    "SERVICES {",
    `  imap cmd="imapd -U 30 -C ${imapdConf}" listen="127.0.0.1:${imapPort}" prefork=0`,
    lmtp("lmtpunix", lmtpSocket),
    lmtp("lmtp", `127.0.0.1:${lmtpPort}`),
    ...mechanismPorts.map((port, index) => lmtp(`lmtpmech${index}`, `127.0.0.1:${port}`)),
    "}",
    "EVENTS {",
    `  checkpoint cmd="ctl_cyrusdb -C ${imapdConf} -c" period=180`,
    "}",
    "",
  ].join("\n");
}
