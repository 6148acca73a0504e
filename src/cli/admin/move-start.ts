import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { AdminClient } from "../../admin/client.ts";
import { EXIT } from "../../core/exit-codes.ts";
import type { ConfirmFlags } from "./confirm.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo } from "../command-io.ts";
import { formatAge, formatTable } from "./format.ts";
import { unlessInterrupted } from "./interrupt.ts";
import { withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface MoveStartFlags extends AdminFlags, ConfirmFlags {
  readonly to?: string;
  readonly from?: string;
  readonly file?: string;
  readonly preset?: string;
  readonly rehearse?: true;
  readonly dryRun?: true;
  readonly unproven?: true;
  readonly detach?: true;
  readonly why?: string;
  readonly json?: true;
}

interface StartReply {
  readonly batch?: string;
  readonly planned: readonly {
    readonly id?: string;
    readonly user: string;
    readonly from: string;
    readonly to: string;
  }[];
  readonly refused: readonly { readonly user: string; readonly why: string; readonly text: string }[];
}

interface Batch {
  readonly id: string;
  readonly total: number;
  readonly active: number;
  readonly done: number;
  readonly failed: readonly { readonly id: string; readonly user: string; readonly phase: string }[];
  readonly failed_file?: string;
}

/** Users in one request; more are asked for in several. */
const USERS_AT_ONCE = 10_000;
/** Moves named at the start; more are left to `move list`. */
const SHOWN_ONE_BY_ONE = 20;
const LOOK_EVERY_MS = 500;
/** Where nobody looks at a terminal: a line each so often, in ms. */
const LINE_EVERY_MS = 10_000;

/**
 * `mailshunt move start`: plans the moves, then shows how they go until all have ended, unless detached. Ctrl-C detaches too.
 * @returns 0 when all were moved or rehearsed (detached: planned), 75 when one was not, 64 where nothing could be planned
 */
export async function runMoveStart(users: readonly string[], flags: MoveStartFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const { to } = flags;
    if (to === undefined) throw new CommandFault(EXIT.usage, "--to says to which backend");
    const wanted = [...users, ...usersOf(flags.file), ...(await usersOn(client, users, flags))];
    if (wanted.length === 0) throw new CommandFault(EXIT.usage, "nobody to move: name users, --file or --from");
    const replies: StartReply[] = [];
    const act = (): Promise<number> => startAndFollow(client, wanted, to, flags, replies, io);
    return unlessInterrupted(act, () => interruptedText(replies), io.stderr);
  });
}

function interruptedText(replies: readonly StartReply[]): string {
  const planned = replies.reduce((sum, reply) => sum + reply.planned.length, 0);
  const which = planned === 0 ? "what was planned by then goes" : planned === 1 ? "the move goes" : "the moves go";
  return `\nmailshunt: interrupted: ${which} on without this command: see mailshunt move list --active, or move cancel\n`;
}

/** @param replies filled as they come */
async function startAndFollow(
  client: AdminClient,
  wanted: readonly string[],
  to: string,
  flags: MoveStartFlags,
  replies: StartReply[],
  io: CommandIo,
): Promise<number> {
  for (let first = 0; first < wanted.length; first += USERS_AT_ONCE)
    replies.push(
      await client.ask<StartReply>("POST", "/v1/moves", {
        body: {
          users: wanted.slice(first, first + USERS_AT_ONCE),
          to,
          from: flags.from,
          preset: flags.preset,
          unproven: flags.unproven === true,
          rehearsal: flags.rehearse === true,
          dry_run: flags.dryRun === true,
          confirmed: flags.yes === true,
          why: flags.why,
        },
      }),
    );
  const planned = replies.flatMap((reply) => reply.planned);
  const refused = replies.flatMap((reply) => reply.refused);
  for (const { user, text } of refused) io.stderr.write(`mailshunt: ${user}: ${text}\n`);
  if (refused.some(({ why }) => why === "moved-elsewhere"))
    io.stderr.write("mailshunt: --yes moves also those whose mailbox is in another store by their last move\n");
  if (flags.json === true) for (const reply of replies) io.stdout.write(`${JSON.stringify(reply)}\n`);
  else if (flags.dryRun === true)
    io.stdout.write(formatTable(planned.map(({ user, from, to: end }) => [user, from, "→", end])));
  const failedEarly = refused.some(({ why }) => why !== "already-there");
  if (flags.dryRun === true || planned.length === 0) return failedEarly ? EXIT.tempFail : EXIT.ok;
  const batches = replies.flatMap(({ batch }) => batch ?? []);
  if (flags.detach === true) {
    io.stdout.write(`${planned.length} planned: mailshunt move list shows how they go\n`);
    return failedEarly ? EXIT.tempFail : EXIT.ok;
  }
  if (flags.json !== true && planned.length <= SHOWN_ONE_BY_ONE)
    io.stdout.write(formatTable(planned.map(({ id = "", user, from, to: end }) => [id, user, `${from} → ${end}`])));
  const failed = await follow(client, batches, flags.rehearse === true ? "rehearsed" : "moved", io);
  return failed || failedEarly ? EXIT.tempFail : EXIT.ok;
}

function usersOf(file: string | undefined): readonly string[] {
  if (file === undefined) return [];
  let text: string;
  try {
    text = readFileSync(file === "-" ? "/dev/stdin" : file, "utf8");
  } catch (error) {
    throw new CommandFault(EXIT.noInput, `cannot read ${file}: ${error instanceof Error ? error.message : ""}`);
  }
  return text.split(/\r?\n/).flatMap((line) => {
    const quoted = /^"((?:[^"]|"")*)"/.exec(line)?.[1]?.replaceAll('""', '"');
    const user = quoted ?? line.split(/[,\s]/, 1)[0] ?? "";
    return user === "" || user.startsWith("#") || /^user$/i.test(user) ? [] : [user];
  });
}

/** All that the directory has on the backend, where `--from` stands alone. */
async function usersOn(
  client: AdminClient,
  users: readonly string[],
  flags: MoveStartFlags,
): Promise<readonly string[]> {
  if (flags.from === undefined || users.length > 0 || flags.file !== undefined) return [];
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await client.ask<{ users: readonly { user: string }[]; next?: string }>("GET", "/v1/users", {
      query: { backend: flags.from, after, limit: 1000 },
    });
    found.push(...page.users.map(({ user }) => user));
    after = page.next;
  } while (after !== undefined);
  return found;
}

/** @returns whether one failed */
async function follow(
  client: AdminClient,
  batches: readonly string[],
  what: "moved" | "rehearsed",
  io: CommandIo,
): Promise<boolean> {
  const isTerminal = "isTTY" in io.stdout && io.stdout.isTTY === true;
  const startMs = performance.now();
  let lineMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const states = await Promise.all(batches.map((id) => client.ask<Batch>("GET", "/v1/batch", { query: { id } })));
    const total = states.reduce((sum, batch) => sum + batch.total, 0);
    const active = states.reduce((sum, batch) => sum + batch.active, 0);
    const done = states.reduce((sum, batch) => sum + batch.done, 0);
    const failed = states.flatMap((batch) => batch.failed);
    const elapsedMs = performance.now() - startMs;
    const line = `${done} of ${total} ${what}, ${active} to go, ${failed.length} failed${estimate(total - active, active, elapsedMs)}`;
    if (isTerminal) io.stdout.write(`\r${bar(total - active, total)} ${line}\u001b[K`);
    else if (active === 0 || elapsedMs - lineMs >= LINE_EVERY_MS) {
      lineMs = elapsedMs;
      io.stdout.write(`${line}\n`);
    }
    if (active === 0) {
      if (isTerminal) io.stdout.write("\n");
      for (const { id, user, phase } of failed)
        io.stderr.write(`mailshunt: ${user}: ${phase}: mailshunt move show ${id} says why\n`);
      for (const { failed_file: path } of states)
        if (path !== undefined) io.stderr.write(`mailshunt: ${path} names them, for mailshunt move start --file\n`);
      return failed.length > 0;
    }
    await delay(LOOK_EVERY_MS);
  }
}

const BAR_WIDTH = 30;

function bar(ended: number, total: number): string {
  const filled = total === 0 ? BAR_WIDTH : Math.floor((BAR_WIDTH * ended) / total);
  return `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}]`;
}

function estimate(ended: number, active: number, elapsedMs: number): string {
  if (ended === 0 || active === 0) return "";
  return `, about ${formatAge((elapsedMs / ended) * active)} left`;
}
