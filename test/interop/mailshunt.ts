import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, makeSearchableFolder, type Ran, removeFolder, run, startDaemon } from "../support/processes.ts";
import { followText, type ServerLog, until } from "../support/until.ts";

const CHECKOUT = join(import.meta.dirname, "../..");

/** One line of mailshunt's log for one recipient. */
export interface MailshuntDelivery {
  readonly session: string;
  readonly to: string;
  readonly relay: string;
  readonly connectionUse: number;
  readonly dsn: string;
  readonly status: string;
  readonly text: string;
  readonly from: string;
  /** Postfix's queue id, where it sends XFORWARD. */
  readonly ident: string | undefined;
  readonly backend: string;
}

export interface Mailshunt {
  /** Of the one that runs now. */
  readonly pid: number;
  /** A folder of its own, for sockets and files of this test. */
  readonly folder: string;
  readonly log: ServerLog;
  deliveries(): MailshuntDelivery[];
  /** The first lines about a message, by Postfix's queue id, once there are so many. They may come after Postfix's own. */
  waitForDeliveries(ident: string, count: number): Promise<MailshuntDelivery[]>;
  /** Writes the configuration anew and waits until it is in force. */
  reload(config: string, signal?: "SIGUSR1" | "SIGHUP"): Promise<void>;
  /** Writes the configuration anew and waits until it is refused. */
  reloadBadly(config: string): Promise<void>;
  /** SIGKILL, to this one process alone. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, with the configuration and the folder that it had. */
  startAgain(): Promise<void>;
  /** Runs a command that asks the daemon, at the listener `unix:FOLDER/admin`. */
  ask(...words: readonly string[]): Promise<Ran>;
  stop(): Promise<void>;
}

export interface MailshuntOptions {
  /** Which command line, and so which configuration format. */
  readonly program: "mailshunt" | "lmtp-proxy";
  /** Sees the folder that sockets go to. */
  readonly config: (folder: string) => string;
}

const DEFAULT_ARGUMENTS = { mailshunt: ["serve"], "lmtp-proxy": [] } as const;

/** Runs the daemon in the foreground as a user would, through its command in bin/. */
export async function startMailshunt({ program, config }: MailshuntOptions): Promise<Mailshunt> {
  const folder = await makeSearchableFolder("interop");
  const configPath = join(folder, "config.yaml");
  await writeFile(configPath, config(folder));
  const command = [join(CHECKOUT, "bin", program), ...DEFAULT_ARGUMENTS[program], "-c", configPath];
  let daemon = startDaemon(command);
  let saidBefore = "";
  const log = followText(program, () => saidBefore + daemon.output());
  await waitUntilReady(daemon, program);
  const deliveries = (): MailshuntDelivery[] => log.lines().flatMap((line) => parseDelivery(line) ?? []);
  const reloadAndWait = async (text: string, signal: NodeJS.Signals, answer: RegExp): Promise<void> => {
    await writeFile(configPath, text);
    const from = log.text().length;
    daemon.signal(signal);
    await log.waitFor(answer, { from });
  };
  return {
    get pid() {
      return daemon.pid;
    },
    folder,
    log,
    deliveries,
    waitForDeliveries: (ident, count) =>
      until(
        `${count} lines about ${ident}`,
        () => {
          const found = deliveries().filter((delivery) => delivery.ident === ident);
          return found.length < count ? undefined : found.slice(0, count);
        },
        { describe: () => log.text().slice(-4000) },
      ),
    reload: (text, signal = "SIGUSR1") => reloadAndWait(text, signal, RELOADED),
    reloadBadly: (text) => reloadAndWait(text, "SIGHUP", NOT_RELOADED),
    async kill() {
      process.kill(daemon.pid, "SIGKILL");
      await until("the daemon has ended", () => (daemon.isRunning() ? undefined : true));
    },
    async startAgain() {
      saidBefore += daemon.output();
      daemon = startDaemon(command);
      await waitUntilReady(daemon, program);
    },
    ask: (...words) =>
      run([join(CHECKOUT, "bin/mailshunt"), ...words, "--admin", `unix:${folder}/admin`], {
        timeoutMs: ASK_TIMEOUT_MS,
      }),
    async stop() {
      await daemon.stop();
      await removeFolder(folder);
    },
  };
}

/** Moves of many users may be waited for. */
const ASK_TIMEOUT_MS = 10 * 60_000;
const READY = /\bready\b/;
const RELOADED = / is reloaded:/;
const NOT_RELOADED = / is not reloaded:/;

const DELIVERY_LINE =
  /^.*? (?:mailshunt\/lmtp|lmtp-proxy)\[\d+\]: (?<session>\S+): to=<(?<to>.*?)>, relay=(?<relay>.*?),(?: conn_use=(?<use>\d+),)? delay=.*?, dsn=(?<dsn>[\d.]+), status=(?<status>\w+) \((?<text>.*)\); from=<(?<from>.*?)>(?: ident=(?<ident>\S+))? backend=(?<backend>\S+)/;

function parseDelivery(line: string): MailshuntDelivery | undefined {
  const groups = DELIVERY_LINE.exec(line)?.groups;
  if (groups === undefined) return undefined;
  const {
    session = "",
    to = "",
    relay = "",
    use = "1",
    dsn = "",
    status = "",
    text = "",
    from = "",
    backend = "",
  } = groups;
  return { session, to, relay, connectionUse: Number(use), dsn, status, text, from, ident: groups["ident"], backend };
}

/** Runs `mailshunt store`, which keeps Maildirs in a folder of its own. */
export async function startMaildirStore(port: number): Promise<{ readonly folder: string; stop(): Promise<void> }> {
  const folder = await makeSearchableFolder("maildirs");
  const daemon = startDaemon([join(CHECKOUT, "bin/mailshunt"), "store", "--listen", `127.0.0.1:${port}`, folder]);
  await waitUntilReady(daemon, "mailshunt store");
  return {
    folder,
    async stop() {
      await daemon.stop();
      await removeFolder(folder);
    },
  };
}

async function waitUntilReady(daemon: Daemon, name: string): Promise<void> {
  const look = (): true | undefined => {
    if (!daemon.isRunning()) throw new Error(`${name} ended:\n${daemon.output()}`);
    return READY.test(daemon.output()) ? true : undefined;
  };
  await until(`${name} is ready`, look, { describe: daemon.output }).catch(async (error: unknown) => {
    await daemon.kill();
    throw error;
  });
}
