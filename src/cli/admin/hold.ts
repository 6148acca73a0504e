import { EXIT } from "../../core/exit-codes.ts";
import { parseDuration } from "../../core/units.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo } from "../command-io.ts";
import type { HoldState } from "./status.ts";
import { formatAge, withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface HoldFlags extends AdminFlags {
  readonly reason?: string;
  readonly deadline?: string;
  readonly owner?: string;
  readonly json?: true;
}

interface Left {
  readonly user: string;
  readonly session: string;
  readonly backend?: string;
  readonly stage: string;
  readonly age_ms: number;
}

interface HoldReply {
  readonly hold: HoldState;
  readonly drain:
    | { readonly outcome: "drained"; readonly waited_for: number; readonly cut: number; readonly settled_ms: number }
    | { readonly outcome: "under-way"; readonly left: readonly Left[] }
    | { readonly outcome: "uncertain"; readonly until: string; readonly why: string };
}

/** Users held at a time: each waits for its own drain. */
const AT_ONCE = 50;

/**
 * `mailshunt hold`.
 * @returns 0 only when every user is drained: from then on no byte of their mail reaches a store until the release; else 75
 */
export async function runHold(users: readonly string[], flags: HoldFlags, io: CommandIo): Promise<number> {
  const deadlineMs = flags.deadline === undefined ? undefined : durationOf(flags.deadline, io);
  if (deadlineMs === "bad") return EXIT.usage;
  return withAdmin(flags, io, async (client) => {
    let exitCode: number = EXIT.ok;
    const hold = async (user: string): Promise<void> => {
      const { owner, reason } = flags;
      const reply = await client.ask<HoldReply>("POST", "/v1/holds", {
        body: { user, owner, reason, deadline_ms: deadlineMs },
      });
      if (reply.drain.outcome !== "drained") exitCode = EXIT.tempFail;
      io.stdout.write(flags.json === true ? `${JSON.stringify(reply)}\n` : toText(reply));
    };
    for (let first = 0; first < users.length; first += AT_ONCE)
      await Promise.all(users.slice(first, first + AT_ONCE).map(hold));
    return exitCode;
  });
}

function durationOf(given: string, { stderr }: CommandIo): number | "bad" {
  const parsed = parseDuration(given, "m");
  if (parsed.kind === "ok") return parsed.value;
  stderr.write(`mailshunt: --deadline: ${parsed.reason}\n`);
  return "bad";
}

function toText({ hold, drain }: HoldReply): string {
  const held = `${hold.user} is held until ${hold.deadline}`;
  switch (drain.outcome) {
    case "drained": {
      const waited = drain.waited_for === 0 ? "nothing was under way" : `waited for ${count(drain.waited_for)}`;
      const cut = drain.cut === 0 ? "" : `, of which ${drain.cut} cut off`;
      const settled = drain.settled_ms === 0 ? "" : `, and ${formatAge(drain.settled_ms)} for one whose end is unknown`;
      return `${held}: drained (${waited}${cut}${settled})\n`;
    }
    case "under-way": {
      const left = drain.left.map(
        ({ session, backend = "-", stage, age_ms: ageMs }) =>
          `  session ${session} to ${backend}: ${stage}, ${formatAge(ageMs)}\n`,
      );
      return `${held}: NOT drained, still under way:\n${left.join("")}`;
    }
    case "uncertain":
      return `${held}: NOT drained before ${drain.until}: ${drain.why}\n`;
  }
}

const count = (deliveries: number): string => `${deliveries} ${deliveries === 1 ? "delivery" : "deliveries"}`;

export interface ReleaseFlags extends AdminFlags {
  readonly owner?: string;
  readonly json?: true;
}

interface ReleaseReply {
  readonly user: string;
  readonly released: boolean;
  readonly still_held: boolean;
}

/** `mailshunt release`. @returns 0 when nobody of them is held by this owner any more, whoever else holds them */
export async function runRelease(users: readonly string[], flags: ReleaseFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    for (const user of users) {
      const query = { user, owner: flags.owner };
      const reply = await client.ask<ReleaseReply>("DELETE", "/v1/holds", { query });
      const text = reply.released ? "released" : "was not held";
      io.stdout.write(
        flags.json === true
          ? `${JSON.stringify(reply)}\n`
          : `${reply.user} ${text}${reply.still_held ? ", and is still held by another owner" : ""}\n`,
      );
    }
    return EXIT.ok;
  });
}

/** `mailshunt history`. @returns 0 */
export async function runHistory(
  user: string,
  flags: AdminFlags & { readonly json?: true; readonly limit?: string },
  io: CommandIo,
): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    if (flags.limit !== undefined && !/^\d+$/.test(flags.limit))
      throw new CommandFault(EXIT.usage, "--limit: expected a whole number");
    const { changes } = await client.ask<{ changes: readonly HistoryChange[] }>("GET", "/v1/history", {
      query: { user, limit: flags.limit },
    });
    for (const change of changes) io.stdout.write(flags.json === true ? `${JSON.stringify(change)}\n` : lineOf(change));
    return EXIT.ok;
  });
}

interface HistoryChange {
  readonly at: string;
  readonly what: string;
  readonly from?: string;
  readonly to?: string;
  readonly who: string;
  readonly why: string;
}

function lineOf({ at, what, from, to, who, why }: HistoryChange): string {
  const change = [from, to].filter((end) => end !== undefined).join(" → ");
  return `${at}  ${what}${change === "" ? "" : ` ${change}`}  by ${who}${why === "" ? "" : `: ${why}`}\n`;
}
