import { createReadStream } from "node:fs";
import { access, constants } from "node:fs/promises";
import { EXIT } from "../../core/exit-codes.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo } from "../command-io.ts";
import type { HoldState } from "./status.ts";
import { holdRow } from "./status.ts";
import { count, formatTable, shown } from "./format.ts";
import { forEachUser, withAdmin } from "./with-admin.ts";
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

/** A user without an entry, as postmap(1) says it. */
const ABSENT = 1;

/** `mailshunt user get`. @returns 0 if all have an entry, 1 if one has none */
export async function runUserGet(users: readonly string[], flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) =>
    forEachUser(users, io, async (user) => {
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

/** `mailshunt user set`. @returns 0; 75 for a user who is being moved */
export async function runUserSet(
  users: readonly string[],
  backend: string,
  flags: UserFlags,
  io: CommandIo,
): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const isDry = flags.dryRun === true;
    return forEachUser(users, io, async (user) => {
      const body = { user, backend, dry_run: isDry, why: flags.why };
      const reply = await client.ask<ChangeReply>("PUT", "/v1/user", { body });
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
    forEachUser(users, io, async (user) => {
      const reply = await client.ask<ChangeReply>("DELETE", "/v1/user", { query: { user, why: flags.why } });
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

/** `mailshunt user import`: `-` reads stdin. @returns 0 if every line counted, 65 if some were left out, 66 for no file */
export async function runUserImport(file: string, flags: UserFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const reply = await client.ask<ImportReply>("POST", "/v1/users/import", {
      query: { dry_run: flags.dryRun === true ? "true" : "false", why: flags.why },
      text: file === "-" ? io.stdin : await openFile(file),
    });
    if (flags.json === true) io.stdout.write(`${JSON.stringify(reply)}\n`);
    else io.stdout.write(reportText(reply));
    for (const { entry, fault } of reply.faults) io.stderr.write(`mailshunt: ${file}:${entry}: ${shown(fault)}\n`);
    if (reply.invalid > reply.faults.length)
      io.stderr.write(`mailshunt: ${file}: and ${count(reply.invalid - reply.faults.length, "more such line")}\n`);
    for (const { user, move } of reply.refusals)
      io.stderr.write(`mailshunt: ${shown(user)} left alone: is being moved by ${shown(move)}\n`);
    if (reply.refused > reply.refusals.length)
      io.stderr.write(`mailshunt: and ${count(reply.refused - reply.refusals.length, "more user")} being moved\n`);
    return reply.invalid + reply.refused === 0 ? EXIT.ok : EXIT.dataErr;
  });
}

async function openFile(file: string): Promise<AsyncIterable<Buffer>> {
  try {
    await access(file, constants.R_OK);
  } catch (error) {
    throw new CommandFault(EXIT.noInput, `cannot read ${file}: ${error instanceof Error ? error.message : ""}`);
  }
  return createReadStream(file) as AsyncIterable<Buffer>;
}

function reportText(reply: ImportReply): string {
  const { created, changed, unchanged, repeated, invalid, refused } = reply;
  const others = [
    ...(repeated === 0 ? [] : [`${repeated} came twice`]),
    ...(invalid + refused === 0 ? [] : [`${invalid + refused} left out`]),
  ];
  const counts = [`${created} new`, `${changed} changed`, `${unchanged} as they were`, ...others].join(", ");
  return `${reply.dry_run ? "would be: " : ""}${counts}\n`;
}
