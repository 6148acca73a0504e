import { chown, mkdir, utimes, writeFile } from "node:fs/promises";
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
import { connectSmtp, type Envelope } from "./smtp-client.ts";
import { followLog, type ServerLog, type Until, until } from "./until.ts";

const FLUSH_EVERY_MS = 2000;

export const POSTFIX_PACKAGES = ["postfix"];

export interface PostfixOptions {
  /** Parameters of main.cf beside those every test needs. */
  readonly main?: Readonly<Record<string, string>>;
  /** Whether smtpd(8), cleanup(8), trivial-rewrite(8) and lmtp(8) run chrooted to the queue directory, as Debian has it. */
  readonly isChrooted?: boolean;
}

/** One line that a delivery agent logged for one recipient. */
export interface PostfixDelivery {
  readonly agent: string;
  readonly queueId: string;
  readonly to: string;
  readonly relay: string;
  readonly connectionUse: number;
  readonly dsn: string;
  readonly status: string;
  readonly text: string;
}

/** A message waiting in the queue. Source: postqueue(1), JSON OBJECT FORMAT. */
export interface QueuedMessage {
  readonly queue_name: string;
  readonly queue_id: string;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

export interface Postfix {
  readonly configFolder: string;
  readonly queueFolder: string;
  readonly smtpPort: number;
  readonly log: ServerLog;
  /** Hands over one message by SMTP and returns its queue id. */
  send(envelope: Envelope, content: Buffer | string): Promise<string>;
  /** Hands over one message by sendmail(1), from a pipe as scripts do. */
  sendmail(from: string, to: readonly string[], content: Buffer | string): Promise<void>;
  /** Sets parameters and starts anew: after a mere reload some processes go on with what they know. */
  configure(main: Readonly<Record<string, string>>): Promise<void>;
  /** Asks a table, such as `socketmap:unix:/path:alias`, as postmap(1) does. */
  postmap(table: string, key: string): Promise<Ran>;
  /** Tries everything in the queue now. */
  flush(): Promise<void>;
  queue(): Promise<QueuedMessage[]>;
  deliveries(queueId?: string): PostfixDelivery[];
  /** The first delivery of a message to a recipient with this status, now or later. */
  waitForDelivery(queueId: string, to: string, status: string, options?: Until): Promise<PostfixDelivery>;
  waitForEmptyQueue(options?: Until): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Brings up a Postfix of its own: configuration, queue, data and log in a new folder below /tmp,
 * SMTP on a free port of 127.0.0.1, retries every second. Nothing below /etc, /var/spool or /var/lib is touched.
 */
export async function startPostfix(options: PostfixOptions = {}): Promise<Postfix> {
  const folder = await makeSearchableFolder("postfix");
  const configFolder = join(folder, "etc");
  const queueFolder = join(folder, "queue");
  const dataFolder = join(folder, "data");
  const [smtpPort = 0] = await findFreePorts(1);
  for (const path of [configFolder, queueFolder, dataFolder]) await mkdir(path);
  await giveTo("postfix", dataFolder);

  const fixed = mainParameters(folder, queueFolder, dataFolder);
  let main: Record<string, string> = { ...fixed, ...options.main };
  const writeMain = async (): Promise<void> => {
    const path = join(configFolder, "main.cf");
    const lines = Object.entries(main).map(([key, value]) => `${key} = ${value}\n`);
    await writeFile(path, lines.join(""));
    // Postfix does not trust a file younger than two seconds, and waits.
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(path, longAgo, longAgo);
  };
  await writeMain();
  await writeFile(join(configFolder, "master.cf"), masterServices(smtpPort, options.isChrooted === true));

  // Makes the folders of the queue with the owners and modes that master(8) wants.
  await runOk(["postfix", "-c", configFolder, "check"]);
  const daemonFolder = (await runOk(["postconf", "-h", "-c", configFolder, "daemon_directory"])).trim();
  const log = followLog(join(folder, "mail.log"));
  const start = async (): Promise<Daemon> => {
    const from = log.text().length;
    const daemon = startDaemon([join(daemonFolder, "master"), "-c", configFolder, "-d"]);
    await log.waitFor(/daemon started/, { from, describe: daemon.output }).catch(async (error: unknown) => {
      await daemon.kill();
      throw error;
    });
    return daemon;
  };
  let master = await start();

  const queue = async (): Promise<QueuedMessage[]> => {
    const lines = (await runOk(["postqueue", "-c", configFolder, "-j"])).split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as QueuedMessage);
  };
  const deliveries = (queueId?: string): PostfixDelivery[] =>
    parseDeliveries(log.text()).filter((delivery) => queueId === undefined || delivery.queueId === queueId);
  const describe = (): string => log.text().slice(-4000);
  const flush = async (): Promise<void> => void (await run(["postqueue", "-c", configFolder, "-f"]));
  /** Postfix lays a message aside for a minute when it looks at it while its last attempt is just ending. */
  const untilWithRetries = <Found>(
    what: string,
    look: () => Promise<Found | undefined> | Found | undefined,
    until_: Until | undefined,
  ): Promise<Found> => {
    let flushedMs = performance.now();
    const lookAndFlush = async (): Promise<Found | undefined> => {
      const found = await look();
      if (found === undefined && performance.now() - flushedMs > FLUSH_EVERY_MS) {
        flushedMs = performance.now();
        await flush();
      }
      return found;
    };
    return until(what, lookAndFlush, { describe, ...until_ });
  };
  return {
    configFolder,
    queueFolder,
    smtpPort,
    log,
    async send(envelope, content) {
      const client = await connectSmtp(smtpPort);
      try {
        return await client.send(envelope, Buffer.from(content));
      } finally {
        client.close();
      }
    },
    async sendmail(from, to, content) {
      await runOk(["sendmail", "-C", configFolder, "-i", "-f", from, "--", ...to], { input: Buffer.from(content) });
    },
    async configure(changes) {
      main = { ...main, ...changes };
      await writeMain();
      await master.stop();
      master = await start();
    },
    postmap: (table, key) => run(["postmap", "-c", configFolder, "-q", key, table]),
    flush,
    queue,
    deliveries,
    waitForDelivery: (queueId, to, status, until_) =>
      untilWithRetries(
        `${queueId}: to=<${to}> status=${status}`,
        () => deliveries(queueId).find((delivery) => delivery.to === to && delivery.status === status),
        until_,
      ),
    async waitForEmptyQueue(until_) {
      const look = async (): Promise<true | undefined> => ((await queue()).length === 0 ? true : undefined);
      await untilWithRetries("an empty queue", look, until_);
    },
    async stop() {
      await master.stop();
      await removeFolder(folder);
    },
  };
}

async function giveTo(user: string, path: string): Promise<void> {
  const [uid, gid] = await Promise.all([runOk(["id", "-u", user]), runOk(["id", "-g", user])]);
  await chown(path, Number(uid), Number(gid));
}

function mainParameters(folder: string, queueFolder: string, dataFolder: string): Record<string, string> {
  return {
    compatibility_level: "3.6",
    queue_directory: queueFolder,
    data_directory: dataFolder,
    maillog_file: join(folder, "mail.log"),
    maillog_file_prefixes: folder,
    myhostname: "mx.example",
    mydestination: "",
    mynetworks: "127.0.0.0/8",
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    disable_dns_lookups: "yes",
    smtp_host_lookup: "native",
    smtpd_peername_lookup: "no",
    smtpd_relay_restrictions: "permit_mynetworks, reject",
    alias_maps: "",
    alias_database: "",
    local_recipient_maps: "",
    recipient_delimiter: "+",
    // What was sent is what is delivered: no header is completed, no long line broken.
    local_header_rewrite_clients: "",
    lmtp_line_length_limit: "0",
    message_size_limit: "0",
    mailbox_size_limit: "0",
    // By default smtpd(8) waits a second for each message once the queue grows.
    in_flow_delay: "0",
    smtpd_client_connection_count_limit: "0",
    minimal_backoff_time: "1s",
    maximal_backoff_time: "1s",
    queue_run_delay: "1s",
    transport_retry_time: "1s",
    // A failed test shows a bounce, not a warning to a postmaster who does not exist.
    notify_classes: "",
  };
}

function masterServices(smtpPort: number, isChrooted: boolean): string {
  const chroot = isChrooted ? "y" : "n";
  return [
    `127.0.0.1:${smtpPort} inet n - ${chroot} - - smtpd`,
    "pickup unix n - n 60 1 pickup",
    `cleanup unix n - ${chroot} - 0 cleanup`,
    "qmgr unix n - n 300 1 qmgr",
    "tlsmgr unix - - n 1000? 1 tlsmgr",
    `rewrite unix - - ${chroot} - - trivial-rewrite`,
    "bounce unix - - n - 0 bounce",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
    "verify unix - - n - 1 verify",
    "flush unix n - n 1000? 0 flush",
    "proxymap unix - - n - - proxymap",
    "smtp unix - - n - - smtp",
    "showq unix n - n - - showq",
    "error unix - - n - - error",
    "retry unix - - n - - error",
    "discard unix - - n - - discard",
    "local unix - n n - - local",
    "virtual unix - n n - - virtual",
    `lmtp unix - - ${chroot} - - lmtp`,
    "anvil unix - - n - 1 anvil",
    "scache unix - - n - 1 scache",
    "postlog unix-dgram n - n - 1 postlogd",
    "",
  ].join("\n");
}

const DELIVERY_LINE =
  /^.*? postfix\/(?<agent>[\w-]+)\[\d+\]: (?<queueId>\w+): to=<(?<to>.*?)>,(?: orig_to=<.*?>,)? relay=(?<relay>.*?),(?: conn_use=(?<use>\d+),)? delay=.*?, dsn=(?<dsn>[\d.]+), status=(?<status>\w+) \((?<text>.*)\)$/;

export function parseDeliveries(log: string): PostfixDelivery[] {
  const found: PostfixDelivery[] = [];
  for (const line of log.split("\n")) {
    const groups = DELIVERY_LINE.exec(line)?.groups;
    if (groups === undefined) continue;
    const { agent = "", queueId = "", to = "", relay = "", use = "1", dsn = "", status = "", text = "" } = groups;
    found.push({ agent, queueId, to, relay, connectionUse: Number(use), dsn, status, text });
  }
  return found;
}
