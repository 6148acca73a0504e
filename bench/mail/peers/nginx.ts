import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitListening, findPort, start } from "../../processes.ts";
import type { Peer, PeerParts } from "./peer.ts";

/** One worker, and no more than what forwards a stream. */
export async function startNginx({ folder, sinkPorts }: PeerParts): Promise<Peer> {
  const port = await findPort();
  const file = join(folder, "nginx.conf");
  const log = join(folder, "nginx.log");
  writeFileSync(
    file,
    `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${log};
events { worker_connections 20000; }
stream {
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${sinkPorts[0]};
  }
}
`,
  );
  const program = start("nginx", ["-c", file, "-p", folder, "-e", log]);
  await awaitListening(program, port);
  return { name: "nginx", port, program, share: 1 };
}
