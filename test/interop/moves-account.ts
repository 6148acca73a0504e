import type { Postfix } from "../support/postfix.ts";
import type { Ran } from "../support/processes.ts";
import type { MoveStore, StoredMessage } from "./moves-stores.ts";
import type { Mailshunt } from "./mailshunt.ts";
import type { Login, Readers, Sent } from "./moves-traffic.ts";

/** A move as `mailshunt move show --json` tells it. */
export interface ShownMove {
  readonly id: string;
  readonly user: string;
  readonly phase: string;
  readonly reason?: string;
  readonly warnings: readonly string[];
  readonly log: string;
  readonly journal: readonly { readonly at: string; readonly what: string; readonly text: string }[];
}

/** All moves there ever were, first to last. */
export async function showMoves(mailshunt: Mailshunt): Promise<readonly ShownMove[]> {
  const listed = jsonLines(await mailshunt.ask("move", "list", "--json"));
  if (listed.length === 0) return [];
  return jsonLines(await mailshunt.ask("move", "show", "--json", ...listed.map(({ id }) => id)));
}

function jsonLines({ code, stdout, stderr }: Ran): readonly ShownMove[] {
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ShownMove);
}

export const hasMoved = ({ phase }: ShownMove): boolean => phase === "done";

/** When something first happened in a move, on the wall clock in ms. */
export function timeOf({ journal }: ShownMove, ...what: readonly string[]): number | undefined {
  const line = journal.find((entry) => what.includes(entry.what));
  return line === undefined ? undefined : Date.parse(line.at);
}

/** Where messages are, against where they should be. All empty: nothing was lost, repeated or misplaced. */
export interface Account {
  /** `queue-id user` of what is not where the user lives. */
  readonly lost: readonly string[];
  /** `queue-id user` of what is there more than once. */
  readonly repeated: readonly string[];
  /** `user id` of what is in the other store, and not where the user lives. */
  readonly misplaced: readonly string[];
  /** `user id` of what was marked as read, and is unread where the user lives. */
  readonly unread: readonly string[];
  readonly counted: number;
}

export interface Accounted {
  /** Where they live, and where else they could have mail. */
  readonly homes: ReadonlyMap<string, { readonly home: MoveStore; readonly other: MoveStore }>;
  readonly sent: readonly Sent[];
  /** Message-IDs that were there before, by user. */
  readonly seeded: ReadonlyMap<string, readonly string[]>;
  readonly read: Readers["read"];
}

export async function account({ homes, sent, seeded, read }: Accounted): Promise<Account> {
  const lost: string[] = [];
  const repeated: string[] = [];
  const misplaced: string[] = [];
  const unread: string[] = [];
  let counted = 0;
  const wanted = new Map([...homes.keys()].map((user) => [user, new Map<string, string>()]));
  for (const [user, ids] of seeded) for (const id of ids) wanted.get(user)?.set(id, "seeded");
  for (const { id, queueId, to } of sent) for (const user of to) wanted.get(user)?.set(id, queueId);
  for (const [user, { home, other }] of homes) {
    const here = groupById(await home.contents(user));
    for (const [id, queueId] of wanted.get(user) ?? []) {
      const copies = here.get(id)?.length ?? 0;
      counted += copies;
      if (copies === 0) lost.push(`${queueId} ${user}`);
      if (copies > 1) repeated.push(`${queueId} ${user}`);
    }
    for (const { id } of await other.contents(user)) if (!here.has(id)) misplaced.push(`${user} ${id}`);
    for (const [id, copies] of here)
      if (read.has(`${user} ${id}`) && !copies.some(({ isSeen }) => isSeen)) unread.push(`${user} ${id}`);
  }
  return { lost, repeated, misplaced, unread, counted };
}

function groupById(messages: readonly StoredMessage[]): ReadonlyMap<string, readonly StoredMessage[]> {
  return Map.groupBy(messages, ({ id }) => id);
}

/**
 * `queue-id user` of deliveries whose reply was lost after the final dot: they alone may exist twice. Where it is the
 * daemon that was killed, Postfix's log has them.
 */
export function uncertainFor(mailshunt: Mailshunt, postfix: Postfix): ReadonlySet<string> {
  const ours = mailshunt.deliveries().filter(({ status }) => status === "uncertain");
  const theirs = postfix
    .deliveries()
    .filter(({ status, text }) => status === "deferred" && /lost connection .* while sending end of data/.test(text));
  return new Set([
    ...ours.map(({ ident, to }) => `${ident} ${to}`),
    ...theirs.map(({ queueId, to }) => `${queueId} ${to}`),
  ]);
}

/** Lines that tell of a delivery to the old store after one to the new. */
export function deliveriesGoneBack(mailshunt: Mailshunt): readonly string[] {
  const moved = new Set<string>();
  const back: string[] = [];
  for (const { backend, status, to, ident } of mailshunt.deliveries())
    if (backend === "new" && status === "sent") moved.add(to);
    else if (backend === "old" && moved.has(to)) back.push(`${ident} ${to} ${status}`);
  return back;
}

/** `user id` of what came into the old store, or was changed there, after the switch: no sync can have copied it. */
export async function changedBehind(
  old: MoveStore,
  switchedMs: ReadonlyMap<string, number>,
): Promise<readonly string[]> {
  const late: string[] = [];
  for (const [user, atMs] of switchedMs)
    for (const { id, changedMs } of await old.contents(user)) if (changedMs > atMs) late.push(`${user} ${id}`);
  return late;
}

/** Logins that reached another store than the one that was right all the while. */
export function wrongLogins(logins: readonly Login[], switchedMs: ReadonlyMap<string, number>): readonly Login[] {
  return logins.filter(({ user, beganMs, answeredMs, store }) => {
    if (store !== "old" && store !== "new") return false;
    const atMs = switchedMs.get(user) ?? Number.POSITIVE_INFINITY;
    return (beganMs > atMs && store !== "new") || (answeredMs < atMs && store !== "old");
  });
}

/** The middle and the largest, in ms. */
export function figures(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((a, b) => a - b);
  return `p50 ${sorted[Math.floor(sorted.length / 2)] ?? "-"} ms, max ${sorted.at(-1) ?? "-"} ms`;
}

/** How long users were kept from logging in, and their mail from being delivered. */
export function describeTimes(moves: readonly ShownMove[]): string {
  const between = (from: readonly string[], to: readonly string[]): readonly number[] =>
    moves.flatMap((move) => {
      const [start, end] = [timeOf(move, ...from), timeOf(move, ...to)];
      return start === undefined || end === undefined ? [] : [end - start];
    });
  // The lock is in force with the entry before its first act, the hold with the one before the drain.
  return [
    `planned to done: ${figures(between(["started"], ["unlocked"]))}`,
    `locked: ${figures(between(["accepted"], ["unlocked"]))}`,
    `held: ${figures(between(["logins-over"], ["released"]))}`,
    `drained to switched: ${figures(between(["drained"], ["switched"]))}`,
  ].join("; ");
}
