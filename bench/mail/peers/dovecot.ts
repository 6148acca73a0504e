import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { awaitListening, findPort, start } from "../../processes.ts";
import type { Peer, PeerParts } from "./peer.ts";

/** Dovecot's LMTP proxy with its own limits and a passdb that says where each user is; a log line for each recipient. */
export async function startDovecot({ folder, sinkPorts, users }: PeerParts): Promise<Peer> {
  const port = await findPort();
  const [config, passdb] = ["dovecot.conf", "passdb"].map((name) => join(folder, name)) as [string, string];
  for (const name of ["run", "state"]) mkdirSync(join(folder, name));
  const line = (user: string, backend: number): string =>
    `${user}:::::::proxy=y host=127.0.0.1 port=${sinkPorts[backend]} nopassword=y\n`;
  writeFileSync(passdb, [...users].map(([user, backend]) => line(user, backend)).join(""), { mode: 0o644 });
  writeFileSync(
    config,
    `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/dovecot.log
protocols = lmtp
listen = 127.0.0.1
ssl = no
hostname = dovecot.example
passdb {
  driver = passwd-file
  args = username_format=%n ${passdb}
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
protocol lmtp {
  lmtp_proxy = yes
}
`,
  );
  const program = start("dovecot", ["-F", "-c", config]);
  await awaitListening(program, port);
  return { name: "dovecot", port, program, share: 0.2 };
}
