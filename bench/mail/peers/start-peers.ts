import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { startMailshunt } from "../../mailshunt.ts";
import { startDovecot } from "./dovecot.ts";
import { startHaproxy } from "./haproxy.ts";
import { startLmtpProxy } from "./lmtp-proxy.ts";
import { startNginx } from "./nginx.ts";
import type { Peer, PeerName, PeerParts } from "./peer.ts";

export interface PeerChoice {
  /** Where the source of lmtp_proxy is; undefined: not measured. */
  readonly lmtpProxyFolder: string | undefined;
  /** Of mailshunt; undefined leaves its default. */
  readonly workers: number | undefined;
}

/** All that can do it: with two backends a forwarder of connections has nothing to say, and nobody knows a direct way. */
export async function startPeers(parts: PeerParts, { lmtpProxyFolder, workers }: PeerChoice): Promise<Peer[]> {
  const own = (name: PeerName): PeerParts => {
    const folder = join(parts.folder, name);
    mkdirSync(folder);
    // Dovecot's processes give up root before they open what is in it.
    chmodSync(folder, 0o755);
    return { ...parts, folder };
  };
  const direct: Peer = { name: "direct", port: parts.sinkPorts[0] ?? 0, program: undefined, share: 1 };
  const forwarders =
    parts.sinkPorts.length > 1 ? [] : [direct, await startHaproxy(own("haproxy")), await startNginx(own("nginx"))];
  const { port, program } = await startMailshunt({ ...own("mailshunt"), workers });
  return [
    ...forwarders,
    await startDovecot(own("dovecot")),
    ...(lmtpProxyFolder === undefined ? [] : [await startLmtpProxy(own("lmtp_proxy"), lmtpProxyFolder)]),
    { name: "mailshunt", port, program, share: 1 },
  ];
}
