import { setTimeout as delay } from "node:timers/promises";
import { EXIT } from "../../core/exit-codes.ts";
import type { CommandIo } from "../command-io.ts";
import { formatAge, formatTable, withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface StatusFlags extends AdminFlags {
  readonly json?: true;
  readonly watch?: true;
}

interface Status {
  readonly version: string;
  readonly pid: number;
  readonly uptime_ms: number;
  readonly configuration: string;
  readonly reloads: number;
  readonly listeners: readonly { readonly protocol: string; readonly address: string; readonly connections: number }[];
  readonly backends: readonly BackendState[];
  readonly deliveries: {
    readonly under_way: number;
    readonly parked: number;
    readonly oldest: readonly {
      readonly user: string;
      readonly session: string;
      readonly backend?: string;
      readonly stage: string;
      readonly age_ms: number;
    }[];
  };
  readonly holds?: number;
  readonly users?: Readonly<Record<string, number>>;
}

export interface BackendState {
  readonly name: string;
  readonly lmtp: string;
  readonly state: string;
  readonly trouble?: string;
  readonly sessions: { readonly open: number; readonly idle: number };
}

export interface HoldState {
  readonly user: string;
  readonly owner: string;
  readonly reason: string;
  readonly deadline: string;
  readonly age_ms: number;
}

/** Deliveries shown one by one. */
const SHOWN_DELIVERIES = 10;
const WATCH_EVERY_MS = 1_000;

/** `mailshunt status`. @returns 0 */
export async function runStatus(flags: StatusFlags, io: CommandIo): Promise<number> {
  return withAdmin(flags, io, async (client) => {
    for (;;) {
      const status = await client.ask<Status>("GET", "/v1/status", { query: { deliveries: SHOWN_DELIVERIES } });
      const holds =
        status.holds === undefined ? [] : (await client.ask<{ holds: HoldState[] }>("GET", "/v1/holds")).holds;
      const shown = flags.json === true ? `${JSON.stringify({ ...status, holds })}\n` : toText(status, holds);
      // Clears the screen, as watch(1) does.
      io.stdout.write(flags.watch === true && flags.json !== true ? `\u001b[H\u001b[2J${shown}` : shown);
      if (flags.watch !== true) return EXIT.ok;
      await delay(WATCH_EVERY_MS);
    }
  });
}

function toText(status: Status, holds: readonly HoldState[]): string {
  const { version, pid, uptime_ms: uptimeMs, configuration, reloads, deliveries } = status;
  const parts = [
    `mailshunt ${version}, process ${pid}, up for ${formatAge(uptimeMs)}, ${configuration}, ${reloads} reloads\n`,
    section(
      "listeners",
      status.listeners.map(({ protocol, address, connections }) => [protocol, address, `${connections} connected`]),
    ),
    section(
      "backends",
      status.backends.map((backend) => backendRow(backend, status.users)),
    ),
    `deliveries: ${deliveries.under_way} under way, ${deliveries.parked} parked\n`,
    ...deliveries.oldest.map(
      ({ user, session, backend = "-", stage, age_ms: ageMs }) =>
        `  ${session}  ${user} to ${backend}, ${stage}, ${formatAge(ageMs)}\n`,
    ),
    section("holds", holds.map(holdRow)),
  ];
  return parts.join("");
}

const section = (title: string, rows: readonly (readonly string[])[]): string =>
  rows.length === 0 ? "" : `${title}:\n${formatTable(rows.map(([first = "", ...rest]) => [`  ${first}`, ...rest]))}`;

export function backendRow(
  { name, lmtp, state, trouble, sessions }: BackendState,
  users: Readonly<Record<string, number>> | undefined,
): readonly string[] {
  const entries = users === undefined ? [] : [`${users[name] ?? 0} users in the directory`];
  return [name, state, lmtp, `${sessions.open} sessions, ${sessions.idle} idle`, ...entries, trouble ?? ""];
}

export const holdRow = ({ user, owner, reason, deadline, age_ms: ageMs }: HoldState): readonly string[] => [
  user,
  `by ${owner}`,
  `for ${formatAge(ageMs)}`,
  `until ${deadline}`,
  reason,
];
