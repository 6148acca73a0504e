import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { backendsOf, createAdminServices } from "./admin-services.ts";
import { createAdminServer } from "./admin/admin-server.ts";
import type { ReloadOutcome } from "./admin/services.ts";
import type { Config, ConfigFault, LoadResult } from "./config/config.ts";
import { formatFaultLine } from "./config/format-fault.ts";
import type { Clock } from "./core/clock.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import { EXIT } from "./core/exit-codes.ts";
import type { Log, LogLevel, LogMessage } from "./core/log.ts";
import {
  countUsers,
  describeDirectory,
  directoryOf,
  describeDisabled,
  missingBackends,
  noteUncertain,
  startHolding,
} from "./holding.ts";
import type { Holding } from "./holding.ts";
import { movesWithout, RecentLogins } from "./moving.ts";
import { createMetrics } from "./observe/metrics.ts";
import { createResolver } from "./net/resolver.ts";
import type { DaemonLog, LogSettings } from "./observe/daemon-log.ts";
import { errorText } from "./observe/render.ts";
import { checkPidFile, claimPidFile } from "./process/pid-file.ts";
import type { PidFile } from "./process/pid-file.ts";
import { becomeUser, findIdentity } from "./process/privileges.ts";
import type { ServiceManager } from "./process/service-manager.ts";
import { buildRunning, count, servedTables, summarize } from "./running.ts";
import type { Running } from "./running.ts";
import { Deliveries } from "./relay/deliveries.ts";
import { Parking } from "./relay/parking.ts";
import type { World } from "./relay/world.ts";
import type { ConnectionServer } from "./servers/connection-server.ts";
import { createAuthHttpServer } from "./servers/auth-http/auth-http-server.ts";
import { ListenerSet } from "./servers/listener-set.ts";
import type { PreparedListeners } from "./servers/listener-set.ts";
import type { ListenerOptions } from "./servers/options.ts";
import { createLmtpServer } from "./servers/lmtp-server.ts";
import { createTableServer } from "./servers/tables/table-server.ts";
import { createProxyService } from "./servers/proxy-service.ts";
import { rotationWarnings, unreadable } from "./start-warnings.ts";

export interface ServingParts {
  /** Reads the configuration, at the start and at each reload. */
  readonly load: () => Promise<LoadResult>;
  readonly isBackground: boolean;
  readonly version: string;
  readonly log: DaemonLog;
  readonly clock: Clock;
  readonly serviceManager: ServiceManager;
}

export type StartResult =
  | { readonly kind: "started" }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] }
  | { readonly kind: "refused"; readonly exitCode: number; readonly reasons: readonly string[] };

/** What one configuration after another says: listeners, worlds, and what must be done as root. */
export interface Serving {
  /** Binds, writes the pid file, drops privileges, then serves. Whatever fails, nothing is left open. */
  start(): Promise<StartResult>;
  /** Never rejects: on any fault what was in effect stays, and the log says why. */
  reload(): Promise<ReloadOutcome>;
  /** Resolves when the last message under way has ended, or its time has. */
  stop(reason: string): Promise<void>;
  /** Removes sockets and pid file in this turn: for the `exit` event. */
  abandon(): void;
}

/** For the ends of connections that we closed to reach the log, and for tables to take leave of their sources, in ms. */
const LAST_WORDS_MS = 1_000;

export function createServing(parts: ServingParts): Serving {
  const { log: daemonLog, clock, serviceManager } = parts;
  const disabledBackends = new Set<string>();
  let running: Running | undefined;
  let pidFile: PidFile | undefined;
  let reloads = 0;
  let failedReloads = 0;
  let reloading: Promise<ReloadOutcome> = Promise.resolve({ number: 0, reasons: [] });
  let isStopping = false;
  let holding: Holding | undefined;
  const logins = new RecentLogins(clock);
  const deliveries = new Deliveries();
  const parking = new Parking({ parkMs: 0, maxParked: 0 }, clock);
  /** Replaced configurations by which deliveries still go. */
  const leaving = new Set<World>();
  /** Resolves when there is none. */
  let drained = Promise.resolve();

  const metrics = createMetrics({
    version: parts.version,
    connections: () => connectionsByProtocol(listeners.status),
    deliveriesUnderWay: () => deliveries.count,
    deliveriesParked: () => parking.count,
    servedTables: () => servedTables(inEffect()),
    reloads: () => ({ succeeded: reloads - failedReloads, failed: failedReloads }),
    directory: () => describeDirectory(holding, clock),
    backends: () =>
      backendsOf(inEffect(), disabledBackends).map(({ trouble, ...rest }) => ({
        ...rest,
        isUp: trouble === undefined,
      })),
  });
  const log: Log = {
    write(entry) {
      daemonLog.write(entry);
      metrics.onEntry(entry);
    },
  };
  const building = {
    clock,
    log,
    loopToken: randomBytes(12).toString("hex"),
    disabledBackends,
    resolve: createResolver({ clock }),
    isLocked: (userKey: string) => holding?.isLocked(userKey) === true,
    onLogin: (userKey: string) => logins.note(userKey),
  };
  const listeners = new ListenerSet({
    makeServer,
    onAcceptFailed: (address, error) =>
      say("warning", `a connection to ${formatEndpoint(address)} was not accepted: ${error.message}`),
  });
  const service = createProxyService({
    world: () => inEffect().world,
    clock,
    log,
    deliveries,
    parking,
    onUncertain: (delivery) => noteUncertain(holding, delivery),
  });
  const services = createAdminServices({
    version: parts.version,
    clock,
    running: inEffect,
    holding: () => holding,
    listeners,
    deliveries,
    parking,
    metrics,
    disabledBackends,
    reload,
    reloadCount: () => reloads,
    isStopping: () => isStopping,
  });

  function makeServer(listener: ListenerOptions): ConnectionServer {
    switch (listener.protocol) {
      case "lmtp":
        return createLmtpServer({ listener, service, clock, log });
      case "admin":
        return createAdminServer({ listener, services, log });
      case "auth-http":
        return createAuthHttpServer({ listener, findLogin: (...asked) => inEffect().findLogin(...asked), clock, log });
      case "socketmap":
      case "dict":
      case "tcp-table":
        return createTableServer({
          listener,
          tables: () => inEffect().tables.ruled,
          isDebugging,
          clock,
          log,
          metrics,
        });
    }
  }

  function inEffect(): Running {
    if (running === undefined) throw new Error("served before the start");
    return running;
  }

  function build(config: Config, previous: Running | undefined): Running {
    // What a reload says of it takes effect with a restart: until then holds must hold, and users live where they do.
    const hasDirectory = previous === undefined ? config.directory !== undefined : holding !== undefined;
    const directory = hasDirectory ? directoryOf(() => holding) : undefined;
    return buildRunning(config, previous, { ...building, directory });
  }

  function isDebugging(): boolean {
    return running?.config.log.level === "debug";
  }

  function say(level: LogLevel, text: string, part: LogMessage["part"] = "daemon"): void {
    log.write({ kind: "message", level, part, text });
  }

  function sayOfMoves(level: LogLevel, text: string): void {
    say(level, text, "move");
  }

  /** In the background there is no terminal, and the older lmtp-proxy went to syslog too. */
  function logSettings({ log: settings }: Config): LogSettings {
    return parts.isBackground && settings.to.kind === "stderr" ? { ...settings, to: { kind: "syslog" } } : settings;
  }

  /** lmtp-proxy writes one in the background only. */
  function pidPath({ source, process }: Config): string | undefined {
    return source.format === "lmtp-proxy" && !parts.isBackground ? undefined : process.pidFile;
  }

  async function start(): Promise<StartResult> {
    const loaded = await parts.load();
    if (loaded.kind === "faulty") return loaded;
    const { config } = loaded;
    let opened: Running;
    try {
      opened = await open(config);
    } catch (error) {
      abandon();
      const exitCode = isForeseen(error) ? EXIT.osError : EXIT.software;
      return { kind: "refused", exitCode, reasons: reasonsOf(error) };
    }
    for (const warning of loaded.warnings) say("warning", formatFaultLine(warning), "config");
    warnOfMissing(config);
    const addresses = listeners.addresses.map(formatEndpoint).join(", ");
    say("notice", `mailshunt ${parts.version} is ready: ${summary(opened)}, listening on ${addresses}`);
    serviceManager.ready(summary(opened));
    return { kind: "started" };
  }

  /** Everything that needs root comes before `becomeUser`, everything a peer can reach after it. */
  async function open(config: Config): Promise<Running> {
    const path = pidPath(config);
    if (path !== undefined) checkPidFile(path);
    const identity = await findIdentity(config.process.user, config.process.group);
    (await listeners.prepare(config.listeners)).commit();
    if (path !== undefined) pidFile = claimPidFile(path);
    const settings = logSettings(config);
    if (identity !== undefined) daemonLog.giveTo(identity);
    if (settings.to.kind === "file") daemonLog.configure(settings);
    if (identity !== undefined) {
      becomeUser(identity);
      say("info", `running as user id ${identity.uid} and group id ${identity.gid}`);
      const needed = config.source.format === "podop" ? [] : [config.source.path];
      for (const warning of unreadable([...needed, import.meta.filename])) say("warning", warning);
    }
    if (settings.to.kind === "file") for (const warning of rotationWarnings(settings.to.path)) say("warning", warning);
    else daemonLog.configure(settings);
    // Not as root: what a table reads then it could not read again.
    const opened = build(config, undefined);
    running = opened;
    parking.configure(config.hold);
    if (config.directory !== undefined) {
      const { openDirectory } = await import("./directory/open-directory.ts");
      const directory = await openDirectory(config.directory);
      for (const { backend } of directory.backends.disabled()) disabledBackends.add(backend);
      holding = startHolding(directory, {
        running: inEffect,
        logins,
        deliveries,
        parking,
        clock,
        say: sayOfMoves,
      });
      await holding.moves.recover();
    }
    listeners.open();
    probe(opened.world);
    return opened;
  }

  /** One after the other, whoever asks. */
  function reload(): Promise<ReloadOutcome> {
    reloading = reloading.then(reloadNow, reloadNow);
    return reloading;
  }

  async function reloadNow(): Promise<ReloadOutcome> {
    if (isStopping || running === undefined) return { number: reloads, reasons: ["stopping"] };
    reloads += 1;
    const number = reloads;
    const { config: old } = running;
    serviceManager.reloading();
    const reasons = await tryReload(number, running).catch(reasonsOf);
    for (const reason of reasons) say("error", reason, "config");
    if (reasons.length > 0) {
      failedReloads += 1;
      reopenLog();
      say("error", `reload ${number} failed, ${old.source.path} is not reloaded: what was in effect stays`);
    }
    serviceManager.ready(summary(running));
    return { number, reasons };
  }

  /** A rotation must not depend on the configuration. */
  function reopenLog(): void {
    try {
      daemonLog.reopen();
    } catch (error) {
      say("error", `the log goes on in the old file: ${reasonsOf(error).join("; ")}`);
    }
  }

  /** @returns why nothing has changed; empty when the new configuration is in effect */
  async function tryReload(number: number, old: Running): Promise<readonly string[]> {
    const loaded = await parts.load();
    if (loaded.kind === "faulty") return loaded.faults.map(formatFaultLine);
    const { config } = loaded;
    const needed = holding === undefined ? [] : movesWithout(holding.directory, config.backends);
    if (needed.length > 0) return needed;
    const next = build(config, old);
    let prepared: PreparedListeners | undefined;
    try {
      prepared = await listeners.prepare(config.listeners);
      if (isStopping) throw new Stopping();
      daemonLog.configure(logSettings(config));
    } catch (error) {
      prepared?.abort();
      void next.tables.close(old.tables);
      if (error instanceof Stopping) return ["stopping"];
      throw error;
    }
    reopenLog();
    running = next;
    parking.configure(config.hold);
    holding?.moves.onOptionsChanged();
    const isDrained = leave(old, next);
    prepared.commit();
    listeners.open();
    probe(next.world);
    for (const warning of loaded.warnings) say("warning", formatFaultLine(warning), "config");
    warnOfRestart(old.config, config);
    warnOfMissing(config);
    for (const reason of await listeners.applyAccess()) say("warning", reason);
    say("notice", `reload ${number} took effect, ${config.source.path} is reloaded: ${summary(next)}`);
    void isDrained.then(() => {
      if (old.config.backends.size > 0)
        say("notice", `reload ${number}: no delivery admitted before it is under way any more`);
      return undefined;
    });
    return [];
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

  function warnOfRestart(old: Config, next: Config): void {
    const changed = (["user", "group", "pidFile"] as const).filter((key) => old.process[key] !== next.process[key]);
    const names = { user: "process.user", group: "process.group", pidFile: "process.pid_file" };
    if (!isDeepStrictEqual(lastingOf(old), lastingOf(next)))
      say("warning", "directory has changed: that takes effect with a restart", "config");
    for (const key of changed) say("warning", `${names[key]} has changed: that takes effect with a restart`, "config");
  }

  function warnOfMissing(config: Config): void {
    if (holding === undefined) return;
    for (const text of missingBackends(holding, config)) say("warning", text, "config");
    for (const text of describeDisabled(holding)) say("warning", text, "config");
  }

  const summary = (of: Running): string => summarize(of, countUsers(holding));

  async function stop(reason: string): Promise<void> {
    isStopping = true;
    serviceManager.stopping();
    listeners.stopAccepting();
    parking.endAll();
    say("notice", `${reason}: stopping, ${count(listeners.connectionCount, "client")} connected`);
    if (running !== undefined) await endWithin(running);
    await serviceManager.settled();
    say("notice", "stopped");
  }

  /** Lets deliveries finish, those whose client has gone included, and ends them when their time is over. */
  async function endWithin({ world: last, tables, config }: Running): Promise<void> {
    const limitMs = config.process.shutdownTimeoutMs;
    const ended = Promise.all([listeners.shutdown(), drained, whenDrained(last), holding?.closeMoves(limitMs)]);
    if (!(await isDoneWithin(ended, limitMs))) {
      say("warning", `${count(listeners.connectionCount, "client")} not finished after ${limitMs} ms: closing`);
      for (const each of [...leaving, last]) each.destroy("shutting down");
      listeners.destroy();
      await isDoneWithin(ended, LAST_WORDS_MS);
    }
    last.retire(undefined);
    await isDoneWithin(Promise.all([tables.close(), holding?.close()]), LAST_WORDS_MS);
  }

  function abandon(): void {
    listeners.stopAccepting();
    pidFile?.remove();
  }

  return { start, reload, stop, abandon };
}

/** What a reload does not change. */
function lastingOf({ directory }: Config): unknown {
  return directory && { ...directory, keepHistoryMs: undefined, writeThrough: undefined };
}

/** A stop has come while a reload was under way. */
class Stopping extends Error {}

function connectionsByProtocol(status: ListenerSet["status"]): ReadonlyMap<string, number> {
  const connections = new Map<string, number>();
  for (const { options, connectionCount } of status)
    connections.set(options.protocol, (connections.get(options.protocol) ?? 0) + connectionCount);
  return connections;
}

/** Learns what stores announce before the first message asks. */
function probe(world: World): void {
  for (const pool of world.pools.values()) if (pool.capabilities === undefined) pool.probe();
}

function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof AggregateError) return error.errors.flatMap(reasonsOf);
  return [isForeseen(error) && error instanceof Error ? error.message : errorText(error)];
}

/** Errors of ours and of the system have a code; what has none is a bug of ours. */
function isForeseen(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isForeseen);
  return error instanceof Error && "code" in error && typeof error.code === "string";
}

function whenDrained(world: World): Promise<void> {
  return new Promise((resolve) => world.whenDrained(resolve));
}

/** Keeps the process alive meanwhile, which a `Clock` would not. */
async function isDoneWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timeout = setTimeout(resolve, limitMs, false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timeout);
  }
}
