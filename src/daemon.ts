import { existsSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { constants as osConstants, hostname } from "node:os";
import { resolve } from "node:path";
import type { Config, LoadResult } from "./config/config.ts";
import { countFaults, formatFault } from "./config/format-fault.ts";
import { loadConfig } from "./config/load.ts";
import { systemClock } from "./core/clock.ts";
import { awaitReloadSignals, onReloadSignal } from "./core/early-signals.ts";
import { EXIT } from "./core/exit-codes.ts";
import type { LogLevel } from "./core/log.ts";
import { LOG_CLOSE_MS } from "./log-settings.ts";
import { createDaemonLog } from "./observe/daemon-log.ts";
import { errorText } from "./observe/render.ts";
import { findBackgroundParent, runInBackground } from "./process/daemonize.ts";
import { oneAtATime } from "./process/one-at-a-time.ts";
import { showAs } from "./process/show-as.ts";
import { connectServiceManager } from "./process/service-manager.ts";
import { createResolver } from "./net/resolver.ts";
import { createRouter } from "./routing/router.ts";
import type { Router, RoutingDirectory } from "./routing/router.ts";
import { openTables } from "./tables/open-tables.ts";
import type { TableSet } from "./tables/open-tables.ts";
import { createServing } from "./serving.ts";
import { syslogWarning } from "./start-warnings.ts";
import { createViewing } from "./viewing.ts";
import type { ViewedDirectory } from "./viewing.ts";

export interface DaemonOptions {
  readonly program: "mailshunt" | "lmtp-proxy" | "podop";
  readonly version: string;
  /** A file, or what a command line says. */
  readonly configuration: { readonly path: string } | { readonly config: Config };
  readonly isBackground: boolean;
  /** Called once all listeners are open. */
  readonly onReady?: () => Promise<void>;
  /** A second stop signal within this time is the first one again, in ms. Default: 0. */
  readonly sameSignalMs?: number;
  /** Stays in the folder it was started in, for a configuration with relative paths. Default: false. */
  readonly keepsFolder?: boolean;
}

/**
 * Runs the daemon.
 * @returns its exit code: 0 after SIGTERM or SIGINT, 78 for a faulty configuration, 71 where the system refuses
 * something, 70 for a bug. A second signal ends the process at once with 128 and the signal's number, as shells count.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { program, version, configuration, isBackground, onReady, sameSignalMs = 0, keepsFolder = false } = options;
  const parent = findBackgroundParent(process.env);
  if (isBackground && parent === undefined) return runInBackground();
  showAs(program);
  awaitReloadSignals();
  const load = loaderOf(program, configuration);
  // No folder is kept from being removed or unmounted, and none that is gone can break a reload.
  if (!keepsFolder) process.chdir("/");

  const log = createDaemonLog({
    program,
    host: hostname().split(".", 1)[0] ?? "",
    pid: process.pid,
    clock: systemClock,
    environment: process.env,
  });
  const say = (level: LogLevel, text: string): void => log.write({ kind: "message", level, part: "daemon", text });
  const serving = createServing({
    program,
    load,
    isBackground,
    version,
    log,
    clock: systemClock,
    serviceManager: connectServiceManager(process.env, (reason) => say("warning", reason)),
  });

  const end = async (exitCode: number): Promise<never> => {
    await log.close(LOG_CLOSE_MS);
    process.exit(exitCode);
  };
  process.on("exit", () => {
    serving.abandon();
    log.flushNow();
  });
  // Rejections that nobody handles come here too.
  process.once("uncaughtException", (error) => {
    process.on("uncaughtException", () => {});
    serving.abandon();
    say("error", `a bug, ending: ${errorText(error)}`);
    void end(EXIT.software);
  });

  const stopped = Promise.withResolvers<number>();
  let isStarted = false;
  let stoppingSinceMs: number | undefined;
  const onStopSignal = (signal: "SIGTERM" | "SIGINT"): void => {
    const nowMs = systemClock.nowMs();
    if (stoppingSinceMs !== undefined) {
      if (nowMs - stoppingSinceMs < sameSignalMs) return;
      say("warning", `second signal, ${signal}: ending at once`);
      void end(128 + osConstants.signals[signal]);
    } else if (isStarted) void serving.stop(signal).then(() => stopped.resolve(EXIT.ok));
    else void end(EXIT.ok);
    stoppingSinceMs ??= nowMs;
  };
  process.on("SIGTERM", onStopSignal);
  process.on("SIGINT", onStopSignal);

  const started = await serving.start();
  if (started.kind === "faulty") {
    process.stderr.write(
      started.faults.map(formatFault).join("") + countFaults(started.faults[0]?.path ?? "", started.faults),
    );
    return end(EXIT.config);
  }
  if (started.kind === "refused") {
    for (const reason of started.reasons) {
      say("error", reason);
      if (log.destination !== "stderr") process.stderr.write(`${program}: ${reason}\n`);
    }
    return end(started.exitCode);
  }
  isStarted = true;
  const lost = log.destination === "syslog" ? syslogWarning(isBackground) : undefined;
  if (lost !== undefined) process.stderr.write(`${program}: ${lost}\n`);
  parent?.ready();
  onReloadSignal(
    oneAtATime(async () => {
      await serving.reload();
    }),
  );
  // Where the environment names a folder for it: for the next start, and commands meanwhile. At the end it may be too late.
  flushCompileCache();
  await onReady?.();
  return end(await stopped.promise);
}

/** Paths are resolved now, before the process changes its folder. */
function loaderOf(program: DaemonOptions["program"], given: DaemonOptions["configuration"]): () => Promise<LoadResult> {
  if ("config" in given)
    return () => Promise.resolve({ kind: "loaded", config: given.config, warnings: [], contents: undefined });
  const path = resolve(given.path);
  const format = program === "lmtp-proxy" ? ({ format: "lmtp-proxy" } as const) : {};
  return () => loadConfig(path, { deadlineClock: systemClock, ...format });
}

/** The router of a configuration, as every world has it: for commands that only ask. */
export function routerOf({ routing, backends }: Config, tables: TableSet, directory?: RoutingDirectory): Router {
  const hasBackend = (name: string): boolean => backends.has(name);
  return createRouter({ options: routing, tables: tables.exact, hasBackend, directory });
}

/** The directory of a configuration, for commands that only ask. `missing`: no daemon has ever made it. */
export interface OpenedDirectory extends RoutingDirectory {
  readonly kind: "open" | "missing";
  readonly path: string;
  close(): Promise<void>;
}

/** What cannot be read cannot tell: then `find` throws why, as in the daemon. */
export async function openDirectoryOf({ directory }: Config): Promise<OpenedDirectory | undefined> {
  if (directory === undefined) return undefined;
  const { path } = directory.store;
  const nothing = (): Promise<void> => Promise.resolve();
  if (!existsSync(path))
    return { kind: "missing", path, find: () => ({ backend: undefined, holds: [] }), close: nothing };
  const { openDirectoryReader } = await import("./directory/open-directory.ts");
  try {
    const reader = openDirectoryReader(directory);
    return { kind: "open", path, find: (user) => reader.find(user), close: () => reader.close() };
  } catch (error) {
    const find = (): never => {
      throw error;
    };
    return { kind: "open", path, find, close: nothing };
  }
}

/** The tables of a configuration, for commands that only ask. What they have to say goes to `say`. */
export function openTablesOf(config: Config, say: (level: LogLevel, text: string) => void): TableSet {
  const { tableViews: views } = createViewing({
    config,
    tables: () => opened.exact,
    directory: config.directory === undefined ? undefined : DAEMONS_DIRECTORY,
    isLocked: () => false,
    onLogin: () => undefined,
    resolve: createResolver({ clock: systemClock }),
  });
  const opened = openTables(config.tables, { clock: systemClock, say, views });
  return opened;
}

const DAEMONS_DIRECTORY: ViewedDirectory = {
  find() {
    throw new Error("only the running daemon has it");
  },
  list() {
    throw new Error("only the running daemon has it: mailshunt user list");
  },
};
