import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import type { Log, LogEntry } from "./core/log.ts";
import type { Quotas } from "./core/quota.ts";
import type { DirectoryReader, UserEntry } from "./directory/directory.ts";
import { isDoneWithin } from "./is-done-within.ts";
import { RecentLogins } from "./moving.ts";
import { createResolver } from "./net/resolver.ts";
import { createMetrics } from "./observe/metrics.ts";
import type { MetricsPage, MetricsState } from "./observe/metrics.ts";
import { Deliveries } from "./relay/deliveries.ts";
import type { Delivery } from "./relay/deliveries.ts";
import { Parking } from "./relay/parking.ts";
import type { World } from "./relay/world.ts";
import { backendsOf } from "./reporting.ts";
import { buildRunning, servedTables } from "./running.ts";
import type { Running } from "./running.ts";
import { createAuthHttpServer } from "./servers/auth-http/auth-http-server.ts";
import type { ConnectionServer } from "./servers/connection-server.ts";
import { ListenerSet } from "./servers/listener-set.ts";
import type { ListenerSetParts, PreparedListeners } from "./servers/listener-set.ts";
import { createLmtpServer } from "./servers/lmtp-server.ts";
import type { AdminListener, ListenerOptions } from "./servers/options.ts";
import { createProxyService } from "./servers/proxy-service.ts";
import { createTableServer } from "./servers/tables/table-server.ts";
import type { TablesContext } from "./tables/open-tables.ts";

export interface EngineParts {
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** One for all processes of the daemon. */
  readonly loopToken: string;
  readonly quotas: Quotas;
  readonly listen: ListenerSetParts["listen"];
  /** Which listeners of a configuration are this process's. */
  readonly listenersOf: (config: Config) => readonly ListenerOptions[];
  readonly makeAdminServer: (listener: AdminListener) => ConnectionServer;
  /** Undefined until it is open. */
  readonly directory: () => DirectoryReader | undefined;
  /** Whether a user's logins must wait. */
  readonly isLocked: (user: string) => boolean;
  /** See `TransactionContext`. */
  readonly onUncertain: (delivery: Delivery) => Promise<void>;
  /** See `TablesContext`. */
  readonly onWritten?: TablesContext["onWritten"];
  /** Whether clients come to this process with mail. */
  readonly servesMail: boolean;
  /** What this process knows for all of them. */
  readonly metrics: Pick<MetricsState, "reloads" | "directory">;
}

/** A configuration that is ready and not yet in effect. */
export interface PreparedEngine {
  readonly next: Running;
  readonly listeners: PreparedListeners["listeners"];
  /** In this turn. @returns when no delivery goes by an older configuration any more */
  commit(): Promise<void>;
  abort(): void;
}

/** What each process has that serves clients: one configuration after another, and what goes on across them. */
export interface Engine {
  /** Counts what is logged. */
  readonly log: Log;
  readonly listeners: ListenerSet;
  readonly deliveries: Deliveries;
  readonly parking: Parking;
  readonly logins: RecentLogins;
  readonly metrics: MetricsPage;
  readonly disabledBackends: Set<string>;
  /** Undefined before the first configuration. */
  readonly running: Running | undefined;
  inEffect(): Running;
  /** Opens the listeners of the first configuration. @throws AggregateError of CannotListen */
  bind(config: Config): Promise<void>;
  /** Puts it in effect. */
  begin(config: Config): Running;
  /** Serves clients from now on. */
  open(): void;
  /** @throws AggregateError of CannotListen; then nothing has changed */
  prepare(config: Config): Promise<PreparedEngine>;
  /** Lets deliveries finish, those whose client has gone included, and breaks them off when their time is over. */
  end(limitMs: number, onLate: () => void, others: Promise<unknown>): Promise<void>;
}

/** For the ends of connections that we closed to reach the log, and for tables to take leave of their sources, in ms. */
export const LAST_WORDS_MS = 1_000;

export function createEngine(parts: EngineParts): Engine {
  const { clock } = parts;
  const disabledBackends = new Set<string>();
  const deliveries = new Deliveries();
  const parking = new Parking({ parkMs: 0, maxParked: 0 }, clock);
  const logins = new RecentLogins(clock);
  let running: Running | undefined;
  /** By the first configuration: what a reload says of it takes effect with a restart. */
  let hasDirectory = false;
  /** Replaced configurations by which deliveries still go. */
  const leaving = new Set<World>();
  /** Resolves when there is none. */
  let drained = Promise.resolve();

  const metrics = createMetrics({
    ...parts.metrics,
    version: parts.version,
    connections: () => connectionsByProtocol(listeners.status),
    deliveriesUnderWay: () => deliveries.count,
    deliveriesParked: () => parking.count,
    servedTables: () => servedTables(inEffect()),
    backends: () =>
      backendsOf(inEffect(), disabledBackends).map(({ trouble, ...rest }) => ({
        ...rest,
        isUp: trouble === undefined,
      })),
  });
  const log: Log = {
    write(entry: LogEntry) {
      parts.log.write(entry);
      metrics.onEntry(entry);
    },
  };
  const building = {
    clock,
    log,
    loopToken: parts.loopToken,
    disabledBackends,
    resolve: createResolver({ clock }),
    isLocked: parts.isLocked,
    onLogin: (userKey: string) => logins.note(userKey),
    quotas: parts.quotas,
    onWritten: parts.onWritten,
  };
  const listeners = new ListenerSet({
    listen: parts.listen,
    makeServer,
    onAcceptFailed: (address, error) =>
      log.write({
        kind: "message",
        level: "warning",
        part: "daemon",
        text: `a connection to ${formatEndpoint(address)} was not accepted: ${error.message}`,
      }),
  });
  const service = createProxyService({
    world: () => inEffect().world,
    clock,
    log,
    deliveries,
    parking,
    onUncertain: parts.onUncertain,
  });

  function makeServer(listener: ListenerOptions): ConnectionServer {
    const { quotas } = parts;
    switch (listener.protocol) {
      case "lmtp":
        return createLmtpServer({ listener, service, clock, log, quotas });
      case "admin":
        return parts.makeAdminServer(listener);
      case "auth-http": {
        const findLogin: Running["findLogin"] = (...asked) => inEffect().findLogin(...asked);
        return createAuthHttpServer({ listener, findLogin, clock, log, quotas });
      }
      case "socketmap":
      case "dict":
      case "tcp-table": {
        const tables = (): Running["tables"]["ruled"] => inEffect().tables.ruled;
        return createTableServer({ listener, tables, isDebugging, clock, log, metrics, quotas });
      }
    }
  }

  function inEffect(): Running {
    if (running === undefined) throw new Error("served before the start");
    return running;
  }

  function isDebugging(): boolean {
    return running?.config.log.level === "debug";
  }

  function build(config: Config, previous: Running | undefined): Running {
    const directory = hasDirectory ? { find: findInDirectory, list: listDirectory } : undefined;
    return buildRunning(config, previous, { ...building, directory });
  }

  function openDirectory(): DirectoryReader {
    const directory = parts.directory();
    if (directory === undefined) throw new Error("the directory is not open");
    return directory;
  }

  const findInDirectory = (user: string): ReturnType<DirectoryReader["find"]> => openDirectory().find(user);
  const listDirectory = (prefix: string): AsyncIterable<UserEntry> => openDirectory().users.all({ prefix });

  async function bind(config: Config): Promise<void> {
    (await listeners.prepare(parts.listenersOf(config))).commit();
  }

  function begin(config: Config): Running {
    hasDirectory = config.directory !== undefined;
    running = build(config, undefined);
    parking.configure(config.hold);
    return running;
  }

  async function prepare(config: Config): Promise<PreparedEngine> {
    const old = inEffect();
    const next = build(config, old);
    const close = (): void => void next.tables.close(old.tables);
    const prepared = await listeners.prepare(parts.listenersOf(config)).catch((error: unknown) => {
      close();
      throw error;
    });
    return {
      next,
      listeners: prepared.listeners,
      commit() {
        running = next;
        parking.configure(config.hold);
        const isDrained = leave(old, next);
        prepared.commit();
        open();
        return isDrained;
      },
      abort() {
        prepared.abort();
        close();
      },
    };
  }

  function open(): void {
    listeners.open();
    // Learns what stores announce before the first message asks.
    if (parts.servesMail)
      for (const pool of inEffect().world.pools.values()) if (pool.capabilities === undefined) pool.probe();
  }

  /** @returns when no delivery goes by a configuration from before `successor` */
  function leave(old: Running, successor: Running): Promise<void> {
    leaving.add(old.world);
    drained = Promise.all([drained, whenDrained(old.world)]).then(() => {
      leaving.delete(old.world);
      old.world.retire(successor.world);
      void old.tables.close(successor.tables);
      return undefined;
    });
    return drained;
  }

  async function end(limitMs: number, onLate: () => void, others: Promise<unknown>): Promise<void> {
    listeners.stopAccepting();
    parking.endAll();
    if (running === undefined) return;
    const last = running.world;
    const ended = Promise.all([listeners.shutdown(), drained, whenDrained(last), others]);
    if (!(await isDoneWithin(ended, limitMs))) {
      onLate();
      for (const each of [...leaving, last]) each.destroy("shutting down");
      listeners.destroy();
      await isDoneWithin(ended, LAST_WORDS_MS);
    }
    last.retire(undefined);
  }

  return {
    log,
    listeners,
    deliveries,
    parking,
    logins,
    metrics,
    disabledBackends,
    get running() {
      return running;
    },
    inEffect,
    bind,
    begin,
    open,
    prepare,
    end,
  };
}

function connectionsByProtocol(status: ListenerSet["status"]): ReadonlyMap<string, number> {
  const connections = new Map<string, number>();
  for (const { options, connectionCount } of status)
    connections.set(options.protocol, (connections.get(options.protocol) ?? 0) + connectionCount);
  return connections;
}

function whenDrained(world: World): Promise<void> {
  return new Promise((resolve) => world.whenDrained(resolve));
}
