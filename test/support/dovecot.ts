import { mkdir, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Daemon,
  findFreePorts,
  makeSearchableFolder,
  type Ran,
  removeFolder,
  run,
  runOk,
  startDaemon,
} from "./processes.ts";
import { unpackPackage, type UnpackedAnswer } from "./unpacked-package.ts";
import { followLog, type ServerLog } from "./until.ts";

export const DOVECOT_PACKAGES = ["dovecot-lmtpd"];

/** Cyrus and Dovecot are both Debian's one IMAP server, so that only one of them can be installed. */
export const findDovecotImap = (): Promise<UnpackedAnswer> => unpackPackage("dovecot-imapd", "dovecot-core");

export const findDovecotPop3 = (): Promise<UnpackedAnswer> => unpackPackage("dovecot-pop3d", "dovecot-core");

export interface DovecotOptions {
  /** Users that exist, such as `ada@example.com`; everybody else is unknown. */
  readonly users: readonly string[];
  /** Users whose mailbox takes no message at all: 552 5.2.2 after the data. */
  readonly fullUsers?: readonly string[];
  /** More lines for dovecot.conf. */
  readonly config?: string;
  /** Lines for dovecot.conf that say who exists, in place of `users`. */
  readonly auth?: string;
  /** From `findDovecotImap`: serves IMAP as well. */
  readonly imapFolder?: string;
  /** From `findDovecotPop3`: serves POP3 as well. */
  readonly pop3Folder?: string;
}

export interface Dovecot {
  /** For doveadm(1). */
  readonly configPath: string;
  readonly lmtpPort: number;
  readonly lmtpSocket: string;
  /** Only with `imapFolder`. */
  readonly imapPort: number;
  /** Only with `pop3Folder`. */
  readonly pop3Port: number;
  readonly log: ServerLog;
  /** Runs doveadm(1) with this server's configuration. */
  doveadm(...words: readonly string[]): Promise<Ran>;
  /** Every message of a user, oldest first, as stored (Dovecot stores LF line ends). */
  messages(user: string): Promise<Buffer[]>;
  /** SIGKILL to every process of it. */
  kill(): Promise<void>;
  /** SIGSTOP to each process that serves LMTP by now: they stand still, connections and all, until `resumeLmtp`. */
  pauseLmtp(): Promise<void>;
  resumeLmtp(): Promise<void>;
  /** Ends it as an administrator does. */
  shutDown(): Promise<void>;
  /** Starts it again, on the same port, with the same mail. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Brings up a Dovecot of its own with LMTP on a free port of 127.0.0.1 and on a unix socket:
 * configuration, run folder, users and Maildirs in a new folder below /tmp. Must run as root.
 */
export async function startDovecot(options: DovecotOptions): Promise<Dovecot> {
  const folder = await makeSearchableFolder("dovecot");
  const lmtpSocket = join(folder, "lmtp");
  const logPath = join(folder, "dovecot.log");
  const [lmtpPort = 0, imapPort = 0, pop3Port = 0] = await findFreePorts(3);
  for (const name of ["run", "state", "mail"]) await mkdir(join(folder, name));
  await runOk(["chown", "mail:mail", join(folder, "mail")]);
  await writeFile(join(folder, "users"), userLines(options, join(folder, "mail")));
  const configPath = join(folder, "dovecot.conf");
  const { auth = passwdFile(folder), imapFolder, pop3Folder, config = "" } = options;
  const unpacked = [imapFolder, pop3Folder].filter((each) => each !== undefined);
  if (unpacked.length > 0) await linkPrograms(unpacked, join(folder, "libexec"));
  const imap = imapFolder === undefined ? "" : imapConfiguration(folder, imapPort);
  const pop3 = pop3Folder === undefined ? "" : pop3Configuration(folder, pop3Port);
  await writeFile(configPath, configuration(folder, lmtpPort, lmtpSocket, logPath) + auth + imap + pop3 + config);
  const log = followLog(logPath);

  let master: Daemon;
  const start = async (): Promise<void> => {
    const from = log.text().length;
    master = startDaemon(["dovecot", "-F", "-c", configPath]);
    await log
      .waitFor(/Dovecot v.* starting up/, { from, describe: () => master.output() })
      .catch(async (error: unknown) => {
        await master.kill();
        throw error;
      });
  };
  await start();
  const signalLmtp = async (signal: "STOP" | "CONT"): Promise<void> =>
    void (await runOk(["pkill", `-${signal}`, "-g", String(master.pid), "-x", "lmtp"]));
  return {
    configPath,
    lmtpPort,
    lmtpSocket,
    imapPort,
    pop3Port,
    log,
    doveadm: (...words) => run(["doveadm", "-c", configPath, ...words]),
    messages: (user) => readMaildir(join(folder, "mail", user, "Maildir", "new")),
    kill: () => master.kill(),
    pauseLmtp: () => signalLmtp("STOP"),
    resumeLmtp: () => signalLmtp("CONT"),
    shutDown: () => master.stop(),
    start,
    async stop() {
      await master.stop();
      await removeFolder(folder);
    },
  };
}

async function readMaildir(path: string): Promise<Buffer[]> {
  const names = await readdir(path).catch(() => []);
  // A file name starts with the time in seconds and then `M` and microseconds.
  const order = (name: string): number => {
    const [seconds = "", rest = ""] = name.split(".", 2);
    return Number(seconds) + Number(/^M(\d+)/.exec(rest)?.[1] ?? 0) / 1e6;
  };
  return Promise.all(names.toSorted((a, b) => order(a) - order(b)).map((name) => readFile(join(path, name))));
}

/** Lines of a passwd-file: user:password:uid:gid:gecos:home:shell:extra fields. */
function userLines({ users, fullUsers = [] }: DovecotOptions, mailFolder: string): string {
  const line = (user: string, extra: string): string => `${user}:::::${join(mailFolder, user)}::${extra}\n`;
  return (
    users.map((user) => line(user, "")).join("") +
    fullUsers.map((user) => line(user, "userdb_quota_rule=*:bytes=1")).join("")
  );
}

function configuration(folder: string, port: number, socket: string, logPath: string): string {
  return `
base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${logPath}
protocols = lmtp
listen = 127.0.0.1
ssl = no
hostname = dovecot.example
recipient_delimiter = +
mail_location = maildir:~/Maildir
mail_uid = mail
mail_gid = mail
first_valid_uid = 1
mail_plugins = quota
plugin {
  quota = maildir:User quota
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
  unix_listener ${socket} {
    mode = 0660
    user = postfix
  }
}
`;
}

const passwdFile = (folder: string): string => `
passdb {
  driver = passwd-file
  args = username_format=%u ${folder}/users
}
userdb {
  driver = passwd-file
  args = username_format=%u ${folder}/users
}
`;

const imapConfiguration = (folder: string, port: number): string => `
protocols = $protocols imap
libexec_dir = ${folder}/libexec
service imap-login {
  inet_listener imap {
    address = 127.0.0.1
    port = ${port}
  }
  inet_listener imaps {
    port = 0
  }
}
`;

const pop3Configuration = (folder: string, port: number): string => `
protocols = $protocols pop3
libexec_dir = ${folder}/libexec
service pop3-login {
  inet_listener pop3 {
    address = 127.0.0.1
    port = ${port}
  }
  inet_listener pop3s {
    port = 0
  }
}
`;

/** All of Dovecot's programs in one folder. */
async function linkPrograms(unpacked: readonly string[], libexecFolder: string): Promise<void> {
  await mkdir(libexecFolder);
  for (const source of ["/usr/lib/dovecot", ...unpacked.map((folder) => join(folder, "usr/lib/dovecot"))])
    for (const name of await readdir(source)) {
      const link = join(libexecFolder, name);
      await rm(link, { force: true });
      await symlink(join(source, name), link);
    }
}
