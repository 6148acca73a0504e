import { randomBytes } from "node:crypto";
import { createAdminServices } from "./admin-services.ts";
import { createAdminServer } from "./admin/admin-server.ts";
import type { ReloadOutcome } from "./admin/services.ts";
import type { Config, ConfigFault, LoadResult } from "./config/config.ts";
import { formatFaultLine } from "./config/format-fault.ts";
import type { Clock } from "./core/clock.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import { EXIT } from "./core/exit-codes.ts";
import type { LogLevel, LogMessage } from "./core/log.ts";
import { ownQuotas } from "./core/quota.ts";
import { createCrew, needsWorkers } from "./crew.ts";
import { createEngine, LAST_WORDS_MS } from "./engine.ts";
import {
  countUsers,
  describeDirectory,
  describeDisabled,
  isLockedIn,
  missingBackends,
  noteUncertain,
  startHolding,
} from "./holding.ts";
import type { Holding } from "./holding.ts";
import { isDoneWithin } from "./is-done-within.ts";
import { logSettings } from "./log-settings.ts";
import { movesAgainst } from "./moving.ts";
import { bind, listen } from "./net/listener.ts";
import type { DaemonLog } from "./observe/daemon-log.ts";
import { checkPidFile, claimPidFile } from "./process/pid-file.ts";
import type { PidFile } from "./process/pid-file.ts";
import { becomeUser, findIdentity } from "./process/privileges.ts";
import type { ServiceManager } from "./process/service-manager.ts";
import { count, summarize } from "./running.ts";
import type { Running } from "./running.ts";
import { isForeseen, reasonsOf } from "./reasons.ts";
import { restartWarnings, rotationWarnings, unreadable } from "./start-warnings.ts";
import type { PreparedWorkers } from "./workers/worker-set.ts";

export interface ServingParts {
  readonly program: string;
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

export function createServing(parts: ServingParts): Serving {
  const { program, log: daemonLog, clock, serviceManager, version, isBackground } = parts;
  let pidFile: PidFile | undefined;
  let reloads = 0;
  let failedReloads = 0;
  /** The last one, if it failed: what is in effect is not what the file says. */
  let failedReload: ReloadOutcome | undefined;
  let reloading: Promise<ReloadOutcome> = Promise.resolve({ number: 0, reasons: [] });
  let isStopping = false;
  let holding: Holding | undefined;
  let hasWorkers = false;
  const loopToken = randomBytes(12).toString("hex");

  const engine = createEngine({
    version,
    clock,
    log: daemonLog,
    loopToken,
    quotas: ownQuotas,
    listen: (options, events) => (hasWorkers && options.protocol !== "admin" ? bind(options) : listen(options, events)),
    listenersOf: ({ listeners }) => listeners,
    makeAdminServer: (listener) => createAdminServer({ listener, services, log }),
    directory: () => holding?.directory,
    isLocked: (user) => isLockedIn(holding?.directory, user),
    onUncertain: (delivery) => noteUncertain(holding, delivery),
    onWritten: async (table, keys) => crew.workers?.roster.forget(table, keys),
    get servesMail() {
      return !hasWorkers;
    },
    metrics: {
      reloads: () => ({ succeeded: reloads - failedReloads, failed: failedReloads }),
      directory: () => describeDirectory(holding, clock),
    },
  });
  const { listeners, log } = engine;
  const crew = createCrew({
    engine,
    holding: () => holding,
    program,
    start: { version, isBackground, loopToken },
    clock,
    say,
  });
  const services = createAdminServices({
    version,
    clock,
    engine,
    workers: () => crew.workers,
    holding: () => holding,
    reload,
    reloadCount: () => reloads,
    failedReload: () => failedReload,
    isStopping: () => isStopping,
  });

  function say(level: LogLevel, text: string, part: LogMessage["part"] = "daemon"): void {
    log.write({ kind: "message", level, part, text });
  }

  function sayOfMoves(level: LogLevel, text: string): void {
    say(level, text, "move");
  }

  /** lmtp-proxy writes one in the background only. */
  function pidPath({ source, process }: Config): string | undefined {
    return source.format === "lmtp-proxy" && !isBackground ? undefined : process.pidFile;
  }

  async function start(): Promise<StartResult> {
    const loaded = await parts.load();
    if (loaded.kind === "faulty") return loaded;
    const { config } = loaded;
    let opened: Running;
    try {
      opened = await open(config, loaded.contents);
    } catch (error) {
      abandon();
      await holding?.close().catch(() => undefined);
      const exitCode = isForeseen(error) ? EXIT.osError : EXIT.software;
      return { kind: "refused", exitCode, reasons: reasonsOf(error) };
    }
    for (const warning of loaded.warnings) say("warning", formatFaultLine(warning), "config");
    warnOfMissing(config);
    const withWorkers = crew.workers === undefined ? "" : `, ${crew.workers.pids.length} workers`;
    const addresses = listeners.addresses.map(formatEndpoint).join(", ");
    say("notice", `mailshunt ${version} is ready: ${summary(opened)}${withWorkers}, listening on ${addresses}`);
    serviceManager.ready(summary(opened));
    return { kind: "started" };
  }

  /** Everything that needs root comes before `becomeUser`, everything a peer can reach after it. */
  async function open(config: Config, contents: Uint8Array | undefined): Promise<Running> {
    hasWorkers = contents !== undefined && needsWorkers(config);
    const path = pidPath(config);
    if (path !== undefined) checkPidFile(path);
    const identity = await findIdentity(config.process.user, config.process.group);
    await engine.bind(config);
    if (path !== undefined) pidFile = claimPidFile(path);
    const settings = logSettings(config, isBackground);
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
    const opened = engine.begin(config);
    if (config.directory !== undefined) {
      const { openDirectory } = await import("./directory/open-directory.ts");
      const directory = await openDirectory(config.directory);
      for (const { backend } of directory.backends.disabled()) engine.disabledBackends.add(backend);
      holding = startHolding(directory, {
        running: engine.inEffect,
        logins: crew,
        forgetUser: (table, user) => crew.forget(table, [user]),
        deliveries: crew,
        clock,
        say: sayOfMoves,
        onReleased: crew.release,
      });
    }
    if (contents !== undefined && hasWorkers) await crew.startWorkers(config, contents);
    await holding?.moves.recover();
    engine.open();
    crew.workers?.open();
    return opened;
  }

  /** One after the other, whoever asks. */
  function reload(): Promise<ReloadOutcome> {
    reloading = reloading.then(reloadNow, reloadNow);
    return reloading;
  }

  async function reloadNow(): Promise<ReloadOutcome> {
    const { running } = engine;
    if (isStopping || running === undefined) return { number: reloads, reasons: ["stopping"] };
    reloads += 1;
    const number = reloads;
    const { config: old } = running;
    serviceManager.reloading();
    const reasons = await tryReload(number, running).catch(reasonsOf);
    for (const reason of reasons) say("error", reason, "config");
    failedReload = reasons.length > 0 ? { number, reasons } : undefined;
    if (reasons.length > 0) {
      failedReloads += 1;
      reopenLog();
      say("error", `reload ${number} failed, ${old.source.path} is not reloaded: what was in effect stays`);
    }
    serviceManager.ready(summary(engine.inEffect()));
    return { number, reasons };
  }

  /** A rotation must not depend on the configuration. */
  function reopenLog(): void {
    crew.workers?.roster.tellAll({ kind: "reopen-log" });
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
    const needed = holding === undefined ? [] : movesAgainst(holding.directory, old.config.backends, config.backends);
    if (needed.length > 0) return needed;
    const prepared = await engine.prepare(config);
    let preparedWorkers: PreparedWorkers | undefined;
    try {
      preparedWorkers = await crew.prepare(config, loaded.contents, prepared.listeners);
      if (isStopping) throw new Stopping();
      daemonLog.configure(logSettings(config, isBackground));
    } catch (error) {
      prepared.abort();
      preparedWorkers?.abort();
      if (error instanceof Stopping) return ["stopping"];
      throw error;
    }
    reopenLog();
    const { next } = prepared;
    const isDrained = Promise.all([prepared.commit(), preparedWorkers?.commit()]);
    holding?.moves.onOptionsChanged();
    for (const warning of loaded.warnings) say("warning", formatFaultLine(warning), "config");
    for (const warning of restartWarnings(old.config, config)) say("warning", warning, "config");
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
    engine.parking.endAll();
    const connected = crew.workers === undefined ? `, ${count(listeners.connectionCount, "client")} connected` : "";
    say("notice", `${reason}: stopping${connected}`);
    if (engine.running !== undefined) await endAll(engine.running);
    await serviceManager.settled();
    say("notice", "stopped");
  }

  async function endAll({ tables, config }: Running): Promise<void> {
    const limitMs = config.process.shutdownTimeoutMs;
    const onLate = (): void => {
      // Workers say so themselves.
      if (crew.workers === undefined)
        say("warning", `${count(listeners.connectionCount, "client")} not finished after ${limitMs} ms: closing`);
    };
    await engine.end(limitMs, onLate, Promise.all([crew.workers?.stop(limitMs), holding?.closeMoves(limitMs)]));
    crew.workers?.kill();
    await isDoneWithin(Promise.all([tables.close(), holding?.close()]), LAST_WORDS_MS);
  }

  function abandon(): void {
    listeners.stopAccepting();
    crew.workers?.kill();
    pidFile?.remove();
  }

  return { start, reload, stop, abandon };
}

/** A stop has come while a reload was under way. */
class Stopping extends Error {}
