import { join } from "node:path";
import type { AdminClient } from "../../src/admin/client.ts";
import { connectAdmin } from "../../src/admin/client.ts";
import { runMailshunt, startMailshunt } from "../support/daemon-process.ts";
import type { ConfigSketch, Finished, MailshuntProcess } from "../support/daemon-process.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { startSetting } from "./setting.ts";
import type { Scope, Setting } from "./setting.ts";

/** A daemon with an admin listener and a directory, and commands that speak with it. */
export interface AdminSetting extends Setting {
  /** `unix:/path` of the admin listener. */
  readonly admin: string;
  readonly client: AdminClient;
  /** Runs a command of ours to its end, with `--admin`. */
  run(...words: readonly string[]): Promise<Finished>;
  /** Starts one. */
  start(...words: readonly string[]): MailshuntProcess;
  /** Starts the daemon once more, on the same files; without listeners over TCP. */
  restart(): Promise<MailshuntProcess>;
  /** Delivers a message to a user. @returns the replies to RCPT and to the dot */
  deliver(client: LmtpClient, user: string): Promise<string>;
}

export async function startAdmin(
  t: Scope,
  changes: Partial<ConfigSketch> & { readonly hasDirectory?: false } = {},
): Promise<AdminSetting> {
  const { more = [], listeners = [], hasDirectory, ...others } = changes;
  const setting = await startSetting(t, (folder) => ({
    ...others,
    listeners: [
      'address: "127.0.0.1:0"',
      `address: "unix:${folder}/lmtp"`,
      `protocol: admin, address: "unix:${folder}/admin"`,
      ...listeners,
    ],
    more: [
      ...(hasDirectory === false ? [] : [`directory: { store: "sqlite:${folder}/directory.db" }`]),
      `moves: { folder: "${folder}/moves" }`,
      ...more,
    ],
  }));
  const { folder } = setting;
  const admin = `unix:${folder}/admin`;
  const client = connectAdmin(admin, undefined);
  t.after(() => client.close());
  return {
    ...setting,
    admin,
    client,
    run: (...words) => runMailshunt(t, [...words, "--admin", admin]),
    start: (...words) => startMailshunt(t, [...words, "--admin", admin]),
    async restart() {
      const daemon = startMailshunt(t, ["serve", "-c", join(folder, "mailshunt.yaml")]);
      await daemon.nextLine(/is ready/);
      return daemon;
    },
    async deliver(lmtp, user) {
      const { rcpt, final } = await lmtp.transaction({ recipients: [`${user}@b.example`] });
      return [...rcpt, ...final].join(" | ");
    },
  };
}
