import { EXIT } from "../../core/exit-codes.ts";
import { CommandFault } from "../command-io.ts";
import type { CommandIo } from "../command-io.ts";
import { formatTime, shown } from "./format.ts";
import { withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface HistoryFlags extends AdminFlags {
  readonly json?: true;
  readonly limit?: string;
}

interface HistoryChange {
  readonly at: string;
  readonly what: string;
  readonly from?: string;
  readonly to?: string;
  readonly who: string;
  readonly why: string;
}

interface HistoryPage {
  readonly user: string;
  readonly changes: readonly HistoryChange[];
  readonly next?: number;
}

const DEFAULT_LIMIT = 100;
const PAGE = 1000;

/** `mailshunt history`: the newest first. @returns 0, also for a user whom nobody ever changed */
export async function runHistory(user: string, flags: HistoryFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    let left = limitOf(flags);
    let before: number | undefined;
    do {
      const query = { user, before, limit: Math.min(left, PAGE) };
      const page = await client.ask<HistoryPage>("GET", "/v1/history", { query });
      for (const change of page.changes)
        io.stdout.write(flags.json === true ? `${JSON.stringify(change)}\n` : lineOf(change));
      if (before === undefined && page.changes.length === 0)
        io.stderr.write(`mailshunt: nothing was ever done with ${shown(page.user)}\n`);
      left -= page.changes.length;
      before = page.next;
    } while (before !== undefined && left > 0);
    return EXIT.ok;
  });
}

function limitOf({ limit }: HistoryFlags): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw new CommandFault(EXIT.usage, "--limit: expected a whole number, 1 at least");
  return Number(limit);
}

/** Always with the date: histories go back further than today. */
function lineOf({ at, what, from, to, who, why }: HistoryChange): string {
  // Others would take it for done: what has come of it stands in entries of its own, or in `move list --user`.
  const shownWhat = what === "move" ? "move planned" : what;
  const change = [from, to].filter((end) => end !== undefined).join(" → ");
  const reason = why === "" ? "" : `: ${why}`;
  return `${formatTime(at, new Date(0))}  ${shown(`${shownWhat}${change === "" ? "" : ` ${change}`}  by ${who}${reason}`)}\n`;
}
