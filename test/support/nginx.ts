import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, findFreePorts, makeSearchableFolder, removeFolder, startDaemon } from "./processes.ts";
import { followLog, type ServerLog, until } from "./until.ts";

export const NGINX_PACKAGES = ["nginx", "libnginx-mod-mail"];

/** Debian's, which is not loaded unless a configuration says so. */
const MAIL_MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so";

export interface NginxServer {
  readonly protocol: "imap" | "pop3" | "smtp";
  /** As `auth_http` takes it. */
  readonly authHttp: string;
  /** Sent as X-Auth-Key; undefined: no such header. */
  readonly secret: string | undefined;
  /** More lines for its `server` block. */
  readonly config?: string;
}

export interface Nginx {
  /** In the order of the servers. */
  readonly ports: readonly number[];
  readonly log: ServerLog;
  stop(): Promise<void>;
}

/** Brings up an nginx of its own with nothing but mail proxies, on free ports of 127.0.0.1. */
export async function startNginx(servers: readonly NginxServer[]): Promise<Nginx> {
  const folder = await makeSearchableFolder("nginx");
  const ports = await findFreePorts(servers.length);
  const configPath = join(folder, "nginx.conf");
  const logPath = join(folder, "error.log");
  await writeFile(configPath, configuration(folder, logPath, servers, ports));
  const daemon = startDaemon(["nginx", "-c", configPath, "-p", folder, "-e", logPath]);
  const log = followLog(logPath);
  await waitUntilReady(daemon, log).catch(async (error: unknown) => {
    await daemon.kill();
    throw error;
  });
  return {
    ports,
    log,
    async stop() {
      await daemon.stop();
      await removeFolder(folder);
    },
  };
}

/** The master says so once it has bound its ports and begins its workers. */
function waitUntilReady(daemon: Daemon, log: ServerLog): Promise<unknown> {
  const look = (): true | undefined => {
    if (!daemon.isRunning()) throw new Error(`nginx ended:\n${daemon.output()}${log.text()}`);
    return /start worker process /.test(log.text()) ? true : undefined;
  };
  return until("nginx is ready", look, { describe: () => daemon.output() + log.text() });
}

function configuration(
  folder: string,
  logPath: string,
  servers: readonly NginxServer[],
  ports: readonly number[],
): string {
  const blocks = servers.map(
    ({ protocol, authHttp, secret, config = "" }, index) => `
  server {
    listen 127.0.0.1:${ports[index]};
    protocol ${protocol};
    auth_http ${authHttp};
    ${secret === undefined ? "" : `auth_http_header X-Auth-Key ${secret};`}
    ${config}
  }`,
  );
  return `
load_module ${MAIL_MODULE};
daemon off;
worker_processes 1;
pid ${folder}/pid;
error_log ${logPath} info;
events {}
mail {
  server_name nginx.example;
  auth_http_timeout 10s;
  proxy_pass_error_message on;
  imap_auth plain login cram-md5;
  pop3_auth plain apop;
  smtp_auth plain login;
${blocks.join("\n")}
}
`;
}
