import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitListening, findPort, start } from "../../processes.ts";
import type { Peer, PeerParts } from "./peer.ts";

export const LMTP_PROXY_PACKAGES = ["python3-yaml"];

/**
 * The original (github.com/ixs/lmtp_proxy), which wants Python with `asyncore`: 3.11 or older.
 * @param source the folder with its script `lmtp-proxy` and, where it is not installed, the module `lmtpd`
 */
export async function startLmtpProxy({ folder, sinkPorts, users }: PeerParts, source: string): Promise<Peer> {
  const port = await findPort();
  const file = join(folder, "lmtp-proxy.conf");
  // JSON is YAML, too.
  const config = {
    config: { socket: ["127.0.0.1", port], ignoreDomain: true, fallback_backend: "b0" },
    backends: Object.fromEntries(sinkPorts.map((sink, number) => [`b${number}`, { host: "127.0.0.1", port: sink }])),
    users: Object.fromEntries([...users].map(([user, backend]) => [user, `b${backend}`])),
  };
  writeFileSync(file, JSON.stringify(config));
  // Debian's own Python has Debian's yaml.
  const python = [`PYTHONPATH=${source}`, "/usr/bin/python3", join(source, "lmtp-proxy")];
  const program = start("env", [...python, "-c", file]);
  await awaitListening(program, port);
  return { name: "lmtp_proxy", port, program, share: 0.02 };
}
