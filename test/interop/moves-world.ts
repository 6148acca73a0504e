import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Nginx, NGINX_PACKAGES, startNginx } from "../support/nginx.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { findFreePorts, makeSearchableFolder, removeFolder } from "../support/processes.ts";
import { whyNoDovecotImap } from "./dovecot-imap.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { MASTER, type MoveStore, startMoveStore } from "./moves-stores.ts";
import { createStarted, whyNoServers, whyNot } from "./servers.ts";

const SECRET = "s3cret";

/** Why not all of these servers can run here, or false. */
export async function whyNoMoves(): Promise<string | false> {
  for (const why of [whyNoServers, whyNoDovecotImap, () => whyNot(NGINX_PACKAGES)]) {
    const reason = await why();
    if (reason !== false) return reason;
  }
  return false;
}

export interface MoveWorld {
  readonly postfix: Postfix;
  readonly mailshunt: Mailshunt;
  readonly nginx: Nginx;
  readonly old: MoveStore;
  readonly young: MoveStore;
  /** Has users of its own, who move nowhere. */
  readonly cyrus: Cyrus;
  /** Of mailshunt. */
  readonly lmtpPort: number;
  /** Of nginx. */
  readonly imapPort: number;
  stop(): Promise<void>;
}

export interface WorldOptions {
  readonly bystanders: readonly string[];
  readonly parallel: number;
  /** How long the old store may take after the final dot; default: by mailshunt. */
  readonly finalTimeout?: string;
  /** After which nothing can arrive any more. Default: both stores are on this machine, and quick. */
  readonly settle?: string;
  /** Processes that serve. Default: as MAILSHUNT_TEST_WORKERS says, or one. */
  readonly workers?: number;
  /** More lines for mailshunt's configuration. */
  readonly config?: string;
}

/** Everybody lives in the store `old`, but for the bystanders, who live in Cyrus. */
export async function startMoveWorld(options: WorldOptions): Promise<MoveWorld> {
  const started = createStarted();
  const folder = await makeSearchableFolder("moves");
  const stop = async (): Promise<void> => {
    await started.stop();
    await removeFolder(folder);
  };
  try {
    const [postfix, old, young, cyrus, ports] = await Promise.all([
      started.add(startPostfix({ main: POSTFIX })),
      started.add(startMoveStore("old", folder)),
      started.add(startMoveStore("new", folder)),
      // A second copy must show: by default Cyrus drops it.
      started.add(startCyrus({ users: options.bystanders, config: "duplicatesuppression: no\n" })),
      findFreePorts(2),
    ]);
    const [lmtpPort = 0, authPort = 0] = ports;
    const config = (home: string): string => configure({ home, lmtpPort, authPort, old, young, cyrus, options });
    const mailshunt = await started.add(startMailshunt({ program: "mailshunt", config }));
    const authHttp = `127.0.0.1:${authPort}/auth`;
    const nginx = await started.add(startNginx([{ protocol: "imap", authHttp, secret: SECRET }]));
    await postfix.configure({ virtual_transport: `lmtp:inet:127.0.0.1:${lmtpPort}` });
    return { postfix, mailshunt, nginx, old, young, cyrus, lmtpPort, imapPort: nginx.ports[0] ?? 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const POSTFIX = {
  virtual_mailbox_domains: "example.com",
  lmtp_send_xforward_command: "yes",
  // Each parked delivery keeps a connection, and many users are held at once.
  default_process_limit: "200",
  default_destination_concurrency_limit: "100",
  default_destination_concurrency_failed_cohort_limit: "100",
};

interface Configured {
  readonly home: string;
  readonly lmtpPort: number;
  readonly authPort: number;
  readonly old: MoveStore;
  readonly young: MoveStore;
  readonly cyrus: Cyrus;
  readonly options: WorldOptions;
}

const configure = ({ home, lmtpPort, authPort, old, young, cyrus, options }: Configured): string => `
version: 1
process: { workers: ${options.workers ?? process.env["MAILSHUNT_TEST_WORKERS"] ?? 1} }
listeners:
  - { protocol: lmtp, address: "127.0.0.1:${lmtpPort}" }
  - { protocol: auth-http, address: "127.0.0.1:${authPort}", secret: ${SECRET} }
  - { protocol: admin, address: "unix:${home}/admin" }
directory: { store: "sqlite:${home}/directory.db" }
backends:
  old:
    lmtp: "127.0.0.1:${old.lmtpPort}"
    final_timeout: ${options.finalTimeout ?? "540s"}
    imap: { address: "127.0.0.1:${old.imapPort}", master_user: ${MASTER.user}, password: ${MASTER.password} }
  new:
    lmtp: "127.0.0.1:${young.lmtpPort}"
    imap: { address: "127.0.0.1:${young.imapPort}", master_user: ${MASTER.user}, password: ${MASTER.password} }
  cyrus: { lmtp: "unix:${cyrus.lmtpSocket}" }
tables:
  bystanders: { type: static, entries: { ${options.bystanders.map((user) => `${user}: cyrus`).join(", ")} } }
routing: { key: address, tables: [bystanders], fallback: old }
hold: { park: 45s, max_parked: 90 }
drain: { settle: ${options.settle ?? "3s"} }
moves:
  folder: ${home}/moves
  parallel: ${options.parallel}
  per_backend: ${options.parallel}
  lock: { grace: 1s }
  presets:
    to-new: { type: doveadm, config: ${young.configPath}, kick_config: ${old.configPath} }
${options.config ?? ""}
`;
