import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitListening, findPort, start } from "../../processes.ts";
import type { Peer, PeerParts } from "./peer.ts";

/** One thread, as mailshunt has one worker. */
export async function startHaproxy({ folder, sinkPorts }: PeerParts): Promise<Peer> {
  const port = await findPort();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen bench
  bind 127.0.0.1:${port}
  server sink 127.0.0.1:${sinkPorts[0]}
`,
  );
  const program = start("haproxy", ["-db", "-f", file]);
  await awaitListening(program, port);
  return { name: "haproxy", port, program, share: 1 };
}
