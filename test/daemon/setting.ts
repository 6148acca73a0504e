import { join } from "node:path";
import { addressesIn, portOf, startMailshunt, writeConfig } from "../support/daemon-process.ts";
import type { ConfigSketch, MailshuntProcess } from "../support/daemon-process.ts";
import { startFakeBackend } from "../support/fake-backend.ts";
import type { FakeBackend } from "../support/fake-backend.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

export type Scope = Parameters<typeof startMailshunt>[0];

/** A daemon with a TCP listener and two stores, `old` and `new`; everybody is in `old`. */
export interface Setting {
  readonly folder: string;
  readonly stores: Readonly<Record<"old" | "new", FakeBackend>>;
  readonly daemon: MailshuntProcess;
  readonly port: number;
  /** Writes the configuration again, with what differs from the first. */
  rewrite(changes: Partial<ConfigSketch>): void;
  /** A client that has said LHLO. */
  connect(): Promise<LmtpClient>;
}

export async function startSetting(
  t: Scope,
  changes: Partial<ConfigSketch> | ((folder: string) => Partial<ConfigSketch>) = {},
): Promise<Setting> {
  const folder = scratchFolder(t);
  const stores = {
    old: await startFakeBackend({ path: join(folder, "old") }),
    new: await startFakeBackend({ path: join(folder, "new") }),
  };
  t.after(() => Promise.all(Object.values(stores).map((store) => store[Symbol.asyncDispose]())));
  const base: ConfigSketch = {
    listeners: ['address: "127.0.0.1:0"'],
    backends: { old: `lmtp: "unix:${folder}/old"`, new: `lmtp: "unix:${folder}/new"` },
    fallback: "old",
  };
  const first = { ...base, ...(typeof changes === "function" ? changes(folder) : changes) };
  const config = writeConfig(folder, first);
  const daemon = startMailshunt(t, ["serve", "-c", config]);
  const port = portOf(addressesIn(await daemon.nextLine(/is ready/)).find((address) => !address.startsWith("unix:")));
  return {
    folder,
    stores,
    daemon,
    port,
    rewrite: (changed) => void writeConfig(folder, { ...first, ...changed }),
    async connect() {
      const client = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port });
      t.after(() => client[Symbol.dispose]());
      await client.lhlo();
      return client;
    },
  };
}
