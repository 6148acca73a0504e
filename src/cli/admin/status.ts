import { setTimeout as delay } from "node:timers/promises";
import { AdminCutOff, AdminUnreachable } from "../../admin/client.ts";
import type { AdminClient } from "../../admin/client.ts";
import { EXIT } from "../../core/exit-codes.ts";
import type { CommandIo } from "../command-io.ts";
import { count, formatAge, formatTable, formatTime, shown } from "./format.ts";
import { withAdmin } from "./with-admin.ts";
import type { AdminFlags } from "./with-admin.ts";

export interface StatusFlags extends AdminFlags {
  readonly json?: true;
  readonly watch?: true;
}

export interface DeliveryState {
  readonly user: string;
  readonly session: string;
  readonly backend?: string;
  readonly stage: string;
  readonly age_ms: number;
}

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly uptime_ms: number;
  readonly configuration: string;
  readonly reloads: number;
  /** The last reload, where it failed. */
  readonly failed_reload?: { readonly number: number; readonly reasons: readonly string[] };
  readonly listeners: readonly { readonly protocol: string; readonly address: string; readonly connections: number }[];
  readonly backends: readonly BackendState[];
  readonly deliveries: {
    readonly under_way: number;
    readonly parked: number;
    readonly oldest: readonly DeliveryState[];
  };
  readonly holds?: number;
  readonly users?: Readonly<Record<string, number>>;
  /** Under way, by phase. */
  readonly moves?: Readonly<Record<string, number>>;
}

export interface BackendState {
  readonly name: string;
  readonly lmtp: string;
  readonly state: string;
  readonly trouble?: string;
  readonly disabled?: { readonly since: string; readonly who: string; readonly why: string };
  readonly sessions: { readonly open: number; readonly idle: number };
}

export interface HoldState {
  readonly user: string;
  readonly owner: string;
  readonly reason: string;
  readonly deadline: string;
  readonly age_ms: number;
}

/** Deliveries and holds shown one by one. */
const SHOWN = 10;
const MAX_HOLDS = 1000;
const WATCH_EVERY_MS = 1_000;

/** `mailshunt status`. @returns 0; with `--watch` it goes on until it is interrupted, over restarts of the daemon too */
export async function runStatus(flags: StatusFlags, io: CommandIo): Promise<number> {
  if (flags.watch !== true) return withAdmin(flags, io, async (client) => show(await readStatus(client), flags, io));
  for (;;) {
    const exitCode = await withAdmin(flags, io, async (client) => watch(client, flags, io));
    if (exitCode !== EXIT.unavailable && exitCode !== EXIT.tempFail) return exitCode;
    await delay(WATCH_EVERY_MS);
  }
}

/** Until the daemon is gone. */
async function watch(client: AdminClient, flags: StatusFlags, io: CommandIo): Promise<number> {
  for (;;) {
    let read: StatusAndHolds;
    try {
      read = await readStatus(client);
    } catch (error) {
      if (flags.json !== true && (error instanceof AdminUnreachable || error instanceof AdminCutOff))
        io.stdout.write(CLEAR_SCREEN);
      throw error;
    }
    // As watch(1) does.
    if (flags.json !== true) io.stdout.write(CLEAR_SCREEN);
    show(read, flags, io);
    await delay(WATCH_EVERY_MS);
  }
}

const CLEAR_SCREEN = "\u001b[H\u001b[2J";

interface StatusAndHolds {
  readonly status: Status;
  /** The first of them. */
  readonly holds: readonly HoldState[];
}

async function readStatus(client: AdminClient): Promise<StatusAndHolds> {
  const status = await client.ask<Status>("GET", "/v1/status", { query: { deliveries: SHOWN } });
  if (status.holds === undefined || status.holds === 0) return { status, holds: [] };
  const { holds } = await client.ask<{ holds: HoldState[] }>("GET", "/v1/holds", { query: { limit: MAX_HOLDS } });
  return { status, holds };
}

function show({ status, holds }: StatusAndHolds, { json }: StatusFlags, { stdout }: CommandIo): number {
  stdout.write(json === true ? `${JSON.stringify({ ...status, holds })}\n` : formatStatus(status, holds));
  return EXIT.ok;
}

export function formatStatus(status: Status, holds: readonly HoldState[], now = new Date()): string {
  const { version, pid, uptime_ms: uptimeMs, configuration, reloads, deliveries, users } = status;
  const holdCount = status.holds ?? 0;
  return [
    `mailshunt ${version}, process ${pid}, up for ${formatAge(uptimeMs)}, ${count(reloads, "reload")}\n`,
    `configuration ${configuration}\n`,
    failedReload(status),
    section(
      "listeners",
      status.listeners.map(({ protocol, address, connections }) => [
        protocol,
        count(connections, "client"),
        shown(address),
      ]),
    ),
    status.backends.length === 0 ? "" : `backends:\n${formatBackends(status.backends, users)}`,
    missingBackends(status),
    `deliveries: ${deliveries.under_way} under way, ${deliveries.parked} parked\n`,
    indented(deliveries.oldest.map(deliveryRow)),
    andMore(deliveries.under_way - deliveries.oldest.length),
    ...(status.holds === undefined ? [] : [`holds: ${holdCount === 0 ? "none" : holdCount}\n`]),
    indented(holds.slice(0, SHOWN).map((hold) => holdRow(hold, now))),
    andMore(holdCount - Math.min(holds.length, SHOWN)),
    movesLine(status),
  ].join("");
}

function failedReload({ failed_reload: failed }: Status): string {
  if (failed === undefined) return "";
  const reasons = failed.reasons.map((reason) => `    ${shown(reason)}\n`).join("");
  return `  NOT IN EFFECT: reload ${failed.number} failed, what was in effect before stays\n${reasons}`;
}

function movesLine({ moves }: Status): string {
  if (moves === undefined) return "";
  const phases = Object.entries(moves);
  const total = phases.reduce((sum, [, amount]) => sum + amount, 0);
  const each = phases.map(([phase, amount]) => `${amount} ${shown(phase)}`).join(", ");
  return total === 0 ? "moves: none under way\n" : `moves: ${total} under way (${each})\n`;
}

const section = (title: string, rows: readonly (readonly string[])[]): string =>
  rows.length === 0 ? "" : `${title}:\n${indented(rows)}`;

const indented = (rows: readonly (readonly string[])[]): string =>
  formatTable(rows.map(([first = "", ...rest]) => [`  ${first}`, ...rest]));

const andMore = (left: number): string => (left > 0 ? `  and ${left} more\n` : "");

/** What varies in length comes last; what is wrong with one stands below it. */
export function formatBackends(
  backends: readonly BackendState[],
  users: Readonly<Record<string, number>> | undefined,
): string {
  const lines = indented(backends.map((backend) => backendRow(backend, users))).split("\n");
  return backends
    .map(({ trouble, disabled }, at) => {
      const below = [
        ...(disabled === undefined ? [] : [describeDisabled(disabled)]),
        ...(trouble === undefined ? [] : [trouble]),
      ];
      return [`${lines[at]}\n`, ...below.map((text) => `      ${shown(text)}\n`)].join("");
    })
    .join("");
}

const describeDisabled = ({ since, who, why }: NonNullable<BackendState["disabled"]>): string =>
  `disabled since ${formatTime(since)} by ${who}${why === "" ? "" : `: ${why}`}`;

function backendRow(
  { name, lmtp, state, sessions }: BackendState,
  users: Readonly<Record<string, number>> | undefined,
): readonly string[] {
  const entries = users === undefined ? [] : [count(users[name] ?? 0, "user")];
  // Those that need somebody must not be overlooked.
  const word = state === "up" ? state : state.toUpperCase();
  return [shown(name), word, `${sessions.open - sessions.idle} busy, ${sessions.idle} idle`, ...entries, shown(lmtp)];
}

function missingBackends({ backends, users = {} }: Status): string {
  const known = new Set(backends.map(({ name }) => name));
  return Object.entries(users)
    .filter(([name]) => !known.has(name))
    .map(([name, amount]) => `  ${shown(name)}  MISSING: ${count(amount, "user")} in the directory, mail deferred\n`)
    .join("");
}

export const deliveryRow = ({
  user,
  session,
  backend = "-",
  stage,
  age_ms: ageMs,
}: DeliveryState): readonly string[] => [
  session,
  formatAge(ageMs),
  STAGES[stage] ?? stage,
  `${shown(user)} to ${shown(backend)}`,
];

const STAGES: Readonly<Record<string, string>> = {
  asking: "asks",
  message: "sends",
  dot: "waits for the store",
};

export const holdRow = (
  { user, owner, reason, deadline, age_ms: ageMs }: HoldState,
  now = new Date(),
): readonly string[] => [
  shown(user),
  formatAge(ageMs),
  `until ${formatTime(deadline, now)}`,
  `by ${shown(owner)}${reason === "" ? "" : `: ${shown(reason)}`}`,
];
