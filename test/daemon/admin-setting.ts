import { join } from "node:path";
import { Command } from "commander";
import type { AdminClient } from "../../src/admin/client.ts";
import { connectAdmin } from "../../src/admin/client.ts";
import { addAdminCommands } from "../../src/cli/admin-commands.ts";
import type { CommandIo } from "../../src/cli/command-io.ts";
import { runQuery } from "../../src/cli/query.ts";
import type { QueryOptions } from "../../src/cli/query.ts";
import { runRoute } from "../../src/cli/route.ts";
import type { RouteOptions } from "../../src/cli/route.ts";
import { startMailshunt } from "../support/daemon-process.ts";
import type { ConfigSketch, MailshuntProcess } from "../support/daemon-process.ts";
import type { LmtpClient } from "../support/lmtp-client.ts";
import { startSetting } from "./setting.ts";
import type { Scope, Setting } from "./setting.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in this process: a process of its own takes a second. */
export async function runCommand(...words: readonly string[]): Promise<Ran> {
  let code = 0;
  return withOutput(async (io) => {
    const program = new Command("mailshunt").exitOverride();
    addAdminCommands(program, (ended) => void (code = ended), io);
    await program.parseAsync([...words], { from: "user" });
    return code;
  });
}

/** Runs what writes as a command does. */
export async function withOutput(act: (io: CommandIo) => Promise<number>): Promise<Ran> {
  const written = { stdout: "", stderr: "" };
  const code = await act({
    stdin: process.stdin,
    stdout: { write: (text) => void (written.stdout += text) },
    stderr: { write: (text) => void (written.stderr += text) },
  });
  return { code, ...written };
}

export const route = (options: RouteOptions): Promise<Ran> => withOutput((io) => runRoute(options, io));
export const query = (options: QueryOptions): Promise<Ran> => withOutput((io) => runQuery(options, io));

/** A daemon with an admin listener and a directory, and commands that speak with it. */
export interface AdminSetting extends Setting {
  /** `unix:/path` of the admin listener. */
  readonly admin: string;
  readonly client: AdminClient;
  /** Runs a command to its end, with `--admin`. */
  run(...words: readonly string[]): Promise<Ran>;
  /** Starts one in a process of its own. */
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
    run: (...words) => runCommand(...words, "--admin", admin),
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
