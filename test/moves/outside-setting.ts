import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { systemClock } from "../../src/core/clock.ts";
import { ownQuotas } from "../../src/core/quota.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { openDirectory } from "../../src/directory/open-directory.ts";
import { isLockedIn, startHolding } from "../../src/holding.ts";
import type { Holding } from "../../src/holding.ts";
import type { MoveDetails } from "../../src/moves/move-service.ts";
import { RecentLogins } from "../../src/moving.ts";
import { Deliveries } from "../../src/relay/deliveries.ts";
import type { Route } from "../../src/routing/route.ts";
import { buildRunning } from "../../src/running.ts";
import type { Running } from "../../src/running.ts";
import { until } from "../support/until.ts";

export interface Scope {
  after(clean: () => unknown): void;
}

/** After which a write that nobody has heard of again counts as over, in ms. */
export const SETTLE_MS = 1_500;

export const OPERATOR = { who: "operator", why: "test" };

export interface OutsideOptions {
  readonly folder: string;
  /** Of the stores `old` and `new`. */
  readonly stores: string;
  /** The table `users`, in braces. */
  readonly table: string;
  readonly tables?: readonly string[];
  readonly routed?: readonly string[];
  readonly isAuthority?: boolean;
  /** Default: a minute. */
  readonly holdDeadlineMs?: number;
  readonly settleMs?: number;
}

/** What a daemon is made of but for its listeners, with moves that copy nothing. */
export interface OutsideDaemon {
  readonly holding: Holding;
  readonly said: readonly string[];
  readonly running: () => Running;
  /** As mail is routed. */
  route(recipient: string): Promise<Route>;
  reload(options: OutsideOptions): Promise<void>;
  /** Starts a move. @returns its id */
  move(user: string, to: string): Promise<string>;
  /** Of a move that has ended. */
  ended(moveId: string): Promise<MoveDetails>;
  /** As a kill leaves everything, but that the process lives on. */
  end(): Promise<void>;
}

export function writeOutsideConfig(options: OutsideOptions): string {
  const { folder, stores, table, tables = [], routed = ["users"] } = options;
  const { isAuthority = true, holdDeadlineMs = 60_000, settleMs = SETTLE_MS } = options;
  const path = join(folder, "mailshunt.yaml");
  const lines = [
    "version: 1",
    `listeners: [{ protocol: lmtp, address: "unix:${folder}/lmtp" }]`,
    `backends: { old: { lmtp: "unix:${stores}/old" }, new: { lmtp: "unix:${stores}/new" } }`,
    "tables:",
    `  users: ${table}`,
    ...tables.map((each) => `  ${each}`),
    `routing: { key: localpart, tables: [${routed.join(", ")}], fallback: old }`,
    `directory: { store: "sqlite:${folder}/directory.db"${isAuthority ? ", write_through: users" : ""} }`,
    `hold: { deadline: ${holdDeadlineMs}ms }`,
    `drain: { settle: ${settleMs}ms }`,
    "moves:",
    `  folder: "${folder}/moves"`,
    '  address: "{user}@b.example"',
    "  lock: { grace: 0s }",
    "  verify: { enabled: false }",
    "  presets: { nothing: { type: command } }",
    "",
  ];
  writeFileSync(path, lines.join("\n"));
  return path;
}

/** @param wrap makes of the directory what moves see of it */
export async function startOutside(
  t: Scope,
  options: OutsideOptions,
  wrap: (directory: Directory) => Directory = (directory) => directory,
): Promise<OutsideDaemon> {
  const said: string[] = [];
  const say = (level: string, text: string): void => void said.push(`${level} ${text}`);
  const opening: { holding?: Holding } = {};
  const logins = new RecentLogins(systemClock);
  const building = {
    clock: systemClock,
    log: { write: () => undefined },
    loopToken: "loop",
    disabledBackends: new Set<string>(),
    resolve: () => ({ kind: "failed" as const, reason: "nobody asks" }),
    isLocked: (user: string) => isLockedIn(opening.holding?.directory, user),
    quotas: ownQuotas,
    onWritten: undefined,
    onLogin: (user: string) => logins.note(user),
    directory: {
      find(user: string) {
        if (opening.holding === undefined) throw new Error("the directory is not open");
        return opening.holding.directory.find(user);
      },
    },
  };
  const build = async (from: OutsideOptions, previous: Running | undefined): Promise<Running> => {
    const loaded = await loadConfig(writeOutsideConfig(from));
    assert.ok(loaded.kind === "loaded", JSON.stringify(loaded));
    return buildRunning(loaded.config, previous, building);
  };
  let running = await build(options, undefined);
  assert.ok(running.config.directory !== undefined);
  const opened = await openDirectory(running.config.directory);
  const started = startHolding(wrap(opened), {
    running: () => running,
    logins,
    deliveries: new Deliveries(),
    forgetUser: (table, user) => running.tables.forget(table, user),
    onReleased: () => undefined,
    clock: systemClock,
    say,
  });
  opening.holding = started;
  await started.moves.recover();
  let ending: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    await started.closeMoves(0);
    await started.close();
    running.world.retire(undefined);
    await running.tables.close();
  };
  t.after(() => (ending ??= end()));
  return {
    holding: started,
    said,
    running: () => running,
    route: async (recipient) => running.world.router.route(recipient),
    async reload(next) {
      running = await build(next, running);
    },
    async move(user, to) {
      const { planned, refused } = await started.moves.start({ users: [user], to, author: OPERATOR });
      const [move] = planned;
      assert.ok(move?.moveId !== undefined, JSON.stringify(refused));
      return move.moveId;
    },
    ended: (moveId) =>
      until(
        `the end of move ${moveId}`,
        () => {
          const details = started.moves.show(moveId);
          return details?.isActive === false ? details : undefined;
        },
        { describe: () => said.join("\n") },
      ),
    end: () => (ending ??= end()),
  };
}
