import { EXIT } from "../../core/exit-codes.ts";
import type { CommandIo } from "../command-io.ts";
import { confirming } from "./confirm.ts";
import type { ConfirmFlags } from "./confirm.ts";
import { formatTable, formatTime } from "./format.ts";
import { forEachNamed, withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

interface MoveState {
  readonly id: string;
  readonly number: number;
  readonly user: string;
  readonly from: string;
  readonly to: string;
  readonly rehearsal: boolean;
  readonly phase: string;
  readonly active: boolean;
  readonly changed: string;
  /** What keeps it from going on. */
  readonly trouble?: string;
}

interface MoveDetails extends MoveState {
  readonly doing?: string;
  readonly round?: number;
  readonly reason?: string;
  readonly warnings: readonly string[];
  readonly log?: string;
  readonly report?: string;
  readonly journal: readonly { readonly at: string; readonly text: string }[];
}

export interface MoveListFlags extends AdminFlags {
  readonly phase?: string;
  readonly active?: true;
  readonly user?: string;
  readonly from?: string;
  readonly to?: string;
  readonly json?: true;
}

/** `mailshunt move list`. @returns 0 */
export async function runMoveList(flags: MoveListFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    const { phase, user, from, to } = flags;
    let after: number | undefined;
    do {
      const page = await client.ask<{ moves: readonly MoveState[]; next?: number }>("GET", "/v1/moves", {
        query: { phase, user, from, to, active: flags.active && "true", after, limit: 1000 },
      });
      io.stdout.write(
        flags.json === true
          ? page.moves.map((move) => `${JSON.stringify(move)}\n`).join("")
          : formatTable(page.moves.map(rowOf)),
      );
      after = page.next;
    } while (after !== undefined);
    return EXIT.ok;
  });
}

const rowOf = ({ id, user, from, to, phase, rehearsal, changed, trouble }: MoveState): readonly string[] => [
  id,
  user,
  `${from} → ${to}`,
  rehearsal && phase !== "rehearsed" ? `${phase} (rehearsal)` : phase,
  trouble === undefined ? formatTime(changed) : `${formatTime(changed)}  IN TROUBLE`,
];

/** `mailshunt move show`. @returns 0 */
export async function runMoveShow(ids: readonly string[], flags: MoveListFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) =>
    forEachNamed(ids, io, async (id) => {
      const move = await client.ask<MoveDetails>("GET", "/v1/move", { query: { id } });
      io.stdout.write(flags.json === true ? `${JSON.stringify(move)}\n` : toText(move));
      return EXIT.ok;
    }),
  );
}

function toText(move: MoveDetails): string {
  const { id, user, from, to, rehearsal, phase, doing, round, reason, trouble, warnings, log, report, journal } = move;
  const now = [phase, doing, round === undefined ? undefined : `round ${round}`].filter((part) => part !== undefined);
  const lines = [
    `${id}: ${user}, ${from} → ${to}${rehearsal ? ", a rehearsal" : ""}: ${now.join(", ")}`,
    ...(reason === undefined ? [] : [`  because: ${reason}`]),
    ...(trouble === undefined ? [] : [`  IN TROUBLE: ${trouble}`]),
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...(log === undefined ? [] : [`  output of its commands: ${log}`]),
    ...(report === undefined ? [] : [`  report of the comparison: ${report}`]),
    ...journal.map(({ at, text }) => `  ${formatTime(at)}  ${text}`),
  ];
  return `${lines.join("\n")}\n`;
}

export interface MoveOrderFlags extends AdminFlags, ConfirmFlags {
  readonly json?: true;
  readonly why?: string;
}

/** `mailshunt move pause`, `resume`, `cancel`, `retry`. @returns 0, 75 if one was refused */
export async function runMoveOrder(
  order: "pause" | "resume" | "cancel" | "retry",
  ids: readonly string[],
  flags: MoveOrderFlags,
  io: CommandIo,
): Promise<number> {
  return withAdmin(flags, io, async (client) =>
    forEachNamed(ids, io, async (id) => {
      const move = await confirming(id, flags, io, (confirmed) => {
        const body = order === "retry" ? { id, why: flags.why, confirmed } : { id, why: flags.why };
        return client.ask<MoveState>("POST", `/v1/moves/${order}`, { body });
      });
      io.stdout.write(flags.json === true ? `${JSON.stringify(move)}\n` : formatTable([rowOf(move)]));
      return EXIT.ok;
    }),
  );
}
