import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Config } from "./config/config.ts";
import { currentUser } from "./observe/cannot-open-log.ts";

/** Where logger(1) hands its lines to; util-linux has it compiled in. */
const SYSLOG_SOCKET = "/dev/log";

/** @returns which reload will fail for the user we have become */
export function unreadable(paths: readonly string[]): readonly string[] {
  return paths
    .filter((path) => !mayAccess(path, constants.R_OK))
    .map((path) => `${path} cannot be read by the user we run as: a reload will fail`);
}

/** @returns what a rotation has to do, since we cannot create the new file ourselves */
export function rotationWarnings(logPath: string): readonly string[] {
  const folder = dirname(logPath);
  if (mayAccess(folder, constants.W_OK | constants.X_OK)) return [];
  const user = currentUser();
  return [`log.to: ${folder} is not writable for ${user}: a rotation has to create ${logPath} for that user`];
}

/** @returns that syslog lines reach nobody, which logger(1) would not say */
export function syslogWarning(isByBackground: boolean, socketPath: string = SYSLOG_SOCKET): string | undefined {
  if (statSync(socketPath, { throwIfNoEntry: false })?.isSocket() === true) return undefined;
  const remedy = isByBackground ? "set log.to, or run without -D" : "set log.to to a file or stderr";
  return `warning: there is no syslog at ${socketPath}: the log is lost; ${remedy}`;
}

function mayAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** What has changed in a configuration that a reload does not put in effect. */
export function restartWarnings(old: Config, next: Config): readonly string[] {
  const names = {
    user: "process.user",
    group: "process.group",
    pidFile: "process.pid_file",
    workers: "process.workers",
  } as const;
  const changed = (Object.keys(names) as (keyof typeof names)[]).filter(
    (key) => old.process[key] !== next.process[key],
  );
  const directory = isDeepStrictEqual(lastingOf(old), lastingOf(next)) ? [] : ["directory"];
  return [...directory, ...changed.map((key) => names[key])].map(
    (name) => `${name} has changed: that takes effect with a restart`,
  );
}

function lastingOf({ directory }: Config): unknown {
  return directory && { ...directory, keepHistoryMs: undefined, writeThrough: undefined };
}
