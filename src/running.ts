import { TABLE_PROTOCOLS } from "./config/check-tables.ts";
import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { Log } from "./core/log.ts";
import type { Quotas } from "./core/quota.ts";
import type { Resolver } from "./net/resolver.ts";
import { buildWorld } from "./relay/world.ts";
import type { World } from "./relay/world.ts";
import { openTables } from "./tables/open-tables.ts";
import type { TablesContext, TableSet } from "./tables/open-tables.ts";
import { createViewing } from "./viewing.ts";
import type { ViewedDirectory, Viewing } from "./viewing.ts";

/** A configuration in effect, and what was made of it. */
export interface Running {
  readonly config: Config;
  readonly world: World;
  readonly tables: TableSet;
  readonly findLogin: Viewing["findLogin"];
}

export interface BuildingParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Known to this process alone. */
  readonly loopToken: string;
  readonly disabledBackends: ReadonlySet<string>;
  /** Where the configuration has one. */
  readonly directory: ViewedDirectory | undefined;
  /** Whether logins of a user must wait. */
  readonly isLocked: (userKey: string) => boolean;
  /** Somebody was told the store in which to log in. */
  readonly onLogin: (userKey: string) => void;
  readonly resolve: Resolver;
  readonly quotas: Quotas;
  readonly onWritten: TablesContext["onWritten"];
}

/** What did not change goes on: sessions with stores, connections of tables. */
export function buildRunning(
  config: Config,
  previous: Running | undefined,
  { clock, log, loopToken, disabledBackends, directory, isLocked, onLogin, resolve, quotas, onWritten }: BuildingParts,
): Running {
  const { backends, routing, lmtp } = config;
  const forgetCount = (userKey: string): number => tables.forgetCount(userKey);
  const asked = { tables: () => tables.exact, forgetCount };
  const viewing = createViewing({ config, ...asked, directory, isLocked, onLogin, resolve });
  const tables = openTables(
    config.tables,
    {
      clock,
      say: (level, text) => log.write({ kind: "message", level, part: "table", text }),
      views: viewing.tableViews,
      onWritten,
    },
    previous?.tables,
  );
  const context = { clock, log, hostname: lmtp.hostname, loopToken, disabledBackends, quotas };
  const generation = (previous?.world.generation ?? 0) + 1;
  const parts = { generation, backends, tables: tables.exact, directory, routing, lmtp, context };
  const world = buildWorld(parts, previous?.world);
  /** Like a delivery, it needs the tables open to its end. */
  const findLogin: Viewing["findLogin"] = (service, user) => {
    const found = viewing.findLogin(service, user);
    if (!(found instanceof Promise)) return found;
    world.admit();
    return found.finally(() => world.leave());
  };
  return { config, tables, world, findLogin };
}

/**
 * What is served, in a few words.
 * @param entered users in the directory; undefined where there is none
 */
export function summarize(
  { config: { backends, routing, listeners }, tables: { exact } }: Running,
  entered: number | undefined,
): string {
  const inTables = routing.tables.reduce((sum, name) => sum + (exact.get(name)?.entryCount ?? 0), 0);
  const alsoInTables = inTables === 0 ? "" : ` and ${inTables} in tables`;
  const users =
    entered === undefined ? count(inTables, "user") : `${count(entered, "user")} in the directory${alsoInTables}`;
  const forMail = backends.size === 0 ? [] : [users, count(backends.size, "backend")];
  const servesTables = listeners.some(({ protocol }) => TABLE_PROTOCOLS.has(protocol));
  return [...forMail, ...(servesTables ? [count(exact.size, "table")] : [])].join(", ");
}

export interface ServedTable {
  readonly protocol: string;
  readonly table: string;
}

/** What clients of listeners may ask, by the names they know. */
export function servedTables({ config: { listeners }, tables: { ruled } }: Running): readonly ServedTable[] {
  return listeners.flatMap((listener): readonly ServedTable[] => {
    const { protocol } = listener;
    if (protocol === "tcp-table") return [{ protocol, table: listener.table }];
    if (protocol !== "socketmap" && protocol !== "dict") return [];
    return [...(listener.tables ?? ruled).keys()].map((table) => ({ protocol, table }));
  });
}

export function count(amount: number, word: string): string {
  return `${amount} ${word}${amount === 1 ? "" : "s"}`;
}
