import type { AdminClient } from "../../admin/client.ts";
import { EXIT } from "../../core/exit-codes.ts";
import { confirming } from "./confirm.ts";
import type { ConfirmFlags } from "./confirm.ts";
import type { CommandIo } from "../command-io.ts";
import type { HoldState } from "./status.ts";
import { holdRow } from "./status.ts";
import { formatTable, shown } from "./format.ts";
import { forEachNamed, withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface UserFlags extends AdminFlags, ConfirmFlags {
  readonly json?: true;
  readonly why?: string;
  readonly dryRun?: true;
}

interface UserReply {
  readonly user: string;
  readonly backend?: string;
  readonly holds: readonly HoldState[];
  readonly move?: string;
}

/** A user without an entry, as postmap(1) says it. */
const ABSENT = 1;

/** `mailshunt user get`. @returns 0 if all have an entry, 1 if one has none */
export async function runUserGet(users: readonly string[], flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) =>
    forEachNamed(users, io, async (user) => {
      const reply = await client.ask<UserReply>("GET", "/v1/user", { query: { user } });
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : toText(reply));
      return reply.backend === undefined ? ABSENT : EXIT.ok;
    }),
  );
}

function toText({ user, backend, holds, move }: UserReply): string {
  const lives = backend ?? "(no entry: tables and fallback count)";
  const moving = move === undefined ? "" : `  moved by ${shown(move)}\n`;
  const held = holds.map((hold) => ["  held for", ...holdRow(hold).slice(1)]);
  return `${shown(user)}\t${shown(lives)}\n${moving}${formatTable(held)}`;
}

interface ChangeReply {
  readonly user: string;
  readonly from?: string;
  readonly to?: string;
  readonly changed: boolean;
}

/** `mailshunt user set`. @returns 0; 75 for a user who is being moved, 64 for one whose mailbox is elsewhere by the last move */
export async function runUserSet(
  users: readonly string[],
  backend: string,
  flags: UserFlags,
  io: CommandIo,
): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const isDry = flags.dryRun === true;
    return forEachNamed(users, io, async (user) => {
      const body = { user, backend, dry_run: isDry, why: flags.why };
      const reply = await confirming(user, flags, io, (confirmed) =>
        client.ask<ChangeReply>("PUT", "/v1/user", { body: { ...body, confirmed } }),
      );
      const from = shown(reply.from ?? "no entry");
      const text = reply.changed ? `${isDry ? "would go " : ""}${from} → ${backend}` : `is on ${backend} already`;
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : `${shown(reply.user)}: ${text}\n`);
      return EXIT.ok;
    });
  });
}

/** `mailshunt user unset`. @returns 0, also for those who had no entry; 75 for a user who is being moved */
export async function runUserUnset(users: readonly string[], flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) =>
    forEachNamed(users, io, async (user) => {
      const reply = await confirming(user, flags, io, (confirmed) =>
        client.ask<ChangeReply>("DELETE", "/v1/user", {
          query: { user, why: flags.why, confirmed: String(confirmed) },
        }),
      );
      const text = reply.changed ? `entry removed, was ${reply.from ?? ""}` : "had no entry";
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : `${shown(reply.user)}: ${shown(text)}\n`);
      return EXIT.ok;
    }),
  );
}

export interface UserListFlags extends UserFlags {
  readonly backend?: string;
  readonly prefix?: string;
}

/** `mailshunt user list` and `export`: all, page by page. @returns 0 */
export async function runUserList(flags: UserListFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    let after: string | undefined;
    let listed = 0;
    do {
      const page = await client.ask<{ users: readonly { user: string; backend: string }[]; next?: string }>(
        "GET",
        "/v1/users",
        { query: { backend: flags.backend, prefix: flags.prefix, after, limit: 1000 } },
      );
      const lines = page.users.map((entry) =>
        flags.json === true ? JSON.stringify(entry) : `${shown(entry.user)}\t${shown(entry.backend)}`,
      );
      if (lines.length > 0) io.stdout.write(`${lines.join("\n")}\n`);
      listed += lines.length;
      after = page.next;
    } while (after !== undefined);
    if (listed === 0) await tellIfUnknown(client, flags, io);
    return EXIT.ok;
  });
}

/** Entries may name a backend that the configuration does not have; where there are none it is a typing error. */
async function tellIfUnknown(client: AdminClient, { backend }: UserListFlags, { stderr }: CommandIo): Promise<void> {
  if (backend === undefined) return;
  const { backends } = await client.ask<{ backends: readonly { name: string }[] }>("GET", "/v1/backends");
  const names = backends.map(({ name }) => name);
  if (!names.includes(backend))
    stderr.write(`mailshunt: there is no backend "${shown(backend)}": known are ${shown(names.join(", "))}\n`);
}

export interface UserExportFlags extends UserListFlags {
  readonly format?: "csv" | "perdition";
  readonly service?: "imap" | "pop3";
}

/** `mailshunt user export`: the file that `import` takes, or perdition's map. @returns 0 */
export async function runUserExport(flags: UserExportFlags, io: CommandIo): Promise<number> {
  const { format = "csv", service, backend, prefix } = flags;
  if (format === "csv" && service !== undefined) {
    io.stderr.write("mailshunt: --service is for --format perdition\n");
    return EXIT.usage;
  }
  return withAdmin(flags, io, async (client) => {
    if (format === "perdition") return exportPerdition(client, { service, backend, prefix }, io);
    const decoder = new TextDecoder();
    for await (const chunk of client.read("/v1/users/export", { backend: flags.backend, prefix: flags.prefix }))
      io.stdout.write(decoder.decode(chunk, { stream: true }));
    return EXIT.ok;
  });
}

/** Who was left out is told in comments, which are for people. */
async function exportPerdition(
  client: AdminClient,
  query: Readonly<Record<string, string | undefined>>,
  { stdout, stderr }: CommandIo,
): Promise<number> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of client.read("/v1/users/export/perdition", query)) {
    const lines = `${rest}${decoder.decode(chunk, { stream: true })}`.split("\n");
    rest = lines.pop() ?? "";
    const users = lines.filter((line) => !line.startsWith("#"));
    if (users.length > 0) stdout.write(`${users.join("\n")}\n`);
    for (const line of lines) if (line.startsWith("#")) stderr.write(`mailshunt: ${shown(line.slice(2))}\n`);
  }
  return EXIT.ok;
}
