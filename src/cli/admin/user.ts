import { createReadStream } from "node:fs";
import { EXIT } from "../../core/exit-codes.ts";
import type { CommandIo } from "../command-io.ts";
import type { HoldState } from "./status.ts";
import { holdRow } from "./status.ts";
import { formatTable, withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface UserFlags extends AdminFlags {
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

/** `mailshunt user get`. @returns 0 if all have an entry, 1 if one has none */
export async function runUserGet(users: readonly string[], flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    let exitCode = 0;
    for (const user of users) {
      const reply = await client.ask<UserReply>("GET", "/v1/user", { query: { user } });
      if (reply.backend === undefined) exitCode = 1;
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : toText(reply));
    }
    return exitCode;
  });
}

function toText({ user, backend, holds, move }: UserReply): string {
  const lives = backend ?? "no entry: tables and fallback count";
  const moving = move === undefined ? "" : `  moved by ${move}\n`;
  return `${user}\t${lives}\n${moving}${formatTable(holds.map((hold) => ["  held", ...holdRow(hold).slice(1)]))}`;
}

interface ChangeReply {
  readonly user: string;
  readonly from?: string;
  readonly to?: string;
  readonly changed: boolean;
}

/** `mailshunt user set`. @returns 0 */
export async function runUserSet(
  users: readonly string[],
  backend: string,
  flags: UserFlags,
  io: CommandIo,
): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const isDry = flags.dryRun === true;
    for (const user of users) {
      const body = { user, backend, dry_run: isDry, why: flags.why };
      const reply = await client.ask<ChangeReply>("PUT", "/v1/user", { body });
      const from = reply.from ?? "no entry";
      const text = reply.changed ? `${isDry ? "would go " : ""}${from} → ${backend}` : `is on ${backend} already`;
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : `${reply.user}: ${text}\n`);
    }
    return EXIT.ok;
  });
}

/** `mailshunt user unset`. @returns 0, also for those who had no entry */
export async function runUserUnset(users: readonly string[], flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    for (const user of users) {
      const reply = await client.ask<ChangeReply>("DELETE", "/v1/user", { query: { user, why: flags.why } });
      const text = reply.changed ? `entry removed, was ${reply.from}` : "had no entry";
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : `${reply.user}: ${text}\n`);
    }
    return EXIT.ok;
  });
}

export interface UserListFlags extends UserFlags {
  readonly backend?: string;
  readonly prefix?: string;
}

/** `mailshunt user list` and `export`: all, page by page. @returns 0 */
export async function runUserList(flags: UserListFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    let after: string | undefined;
    do {
      const page = await client.ask<{ users: readonly { user: string; backend: string }[]; next?: string }>(
        "GET",
        "/v1/users",
        { query: { backend: flags.backend, prefix: flags.prefix, after, limit: 1000 } },
      );
      const lines = page.users.map((entry) =>
        flags.json === true ? JSON.stringify(entry) : `${entry.user}\t${entry.backend}`,
      );
      if (lines.length > 0) io.stdout.write(`${lines.join("\n")}\n`);
      after = page.next;
    } while (after !== undefined);
    return EXIT.ok;
  });
}

/** `mailshunt user export`: the file that `import` takes. @returns 0 */
export async function runUserExport(flags: UserListFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const decoder = new TextDecoder();
    for await (const chunk of client.read("/v1/users/export", { backend: flags.backend, prefix: flags.prefix }))
      io.stdout.write(decoder.decode(chunk, { stream: true }));
    return EXIT.ok;
  });
}

interface ImportReply {
  readonly dry_run: boolean;
  readonly read: number;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly repeated: number;
  readonly refused: number;
  readonly refusals: readonly { readonly user: string; readonly move: string }[];
  readonly invalid: number;
  readonly faults: readonly { readonly entry: number; readonly fault: string }[];
}

/** `mailshunt user import`: `-` reads stdin. @returns 0 if every line counted, 65 if some were left out */
export async function runUserImport(file: string, flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const text = file === "-" ? io.stdin : (createReadStream(file) as AsyncIterable<Buffer>);
    const reply = await client.ask<ImportReply>("POST", "/v1/users/import", {
      query: { dry_run: flags.dryRun === true ? "true" : "false", why: flags.why },
      text,
    });
    if (flags.json === true) io.stdout.write(`${JSON.stringify(reply)}\n`);
    else
      io.stdout.write(
        `${reply.dry_run ? "would be: " : ""}${reply.created} new, ${reply.changed} changed, ${reply.unchanged} as they were\n`,
      );
    for (const { entry, fault } of reply.faults) io.stderr.write(`mailshunt: ${file}:${entry}: ${fault}\n`);
    for (const { user, move } of reply.refusals)
      io.stderr.write(`mailshunt: ${user} left alone: is being moved by ${move}\n`);
    return reply.invalid + reply.refused === 0 ? EXIT.ok : EXIT.dataErr;
  });
}
