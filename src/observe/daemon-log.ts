import { fstatSync } from "node:fs";
import type { Clock } from "../core/clock.ts";
import type { Log, LogEntry, LogLevel } from "../core/log.ts";
import { openFileTarget, openStderrTarget } from "./fd-target.ts";
import type { LogHeir } from "./fd-target.ts";
import { LineQueue } from "./line-queue.ts";
import type { LogTarget } from "./log-target.ts";
import { createRenderer, isLogged } from "./render.ts";
import type { LineAudience, RenderLine } from "./render.ts";
import { openSyslogTarget } from "./syslog-target.ts";

export type LogDestination =
  | { readonly kind: "stderr" }
  | { readonly kind: "syslog" }
  | { readonly kind: "file"; readonly path: string };

export interface LogSettings {
  readonly to: LogDestination;
  readonly format: "text" | "json";
  readonly level: LogLevel;
}

export interface DaemonLog extends Log {
  /**
   * Sends lines where the settings say, those held back since the start included. A file whose path has not changed
   * stays open.
   * @throws CannotOpenLog; then everything stays as it was
   */
  configure(settings: LogSettings): void;
  /** Opens the log file again under its name. @throws CannotOpenLog; then the old file goes on */
  reopen(): void;
  /** A file that is opened from now on, while we are root, is given to the user the daemon becomes. */
  giveTo(heir: LogHeir): void;
  /** Where lines are seen; while not configured, once it is closed. */
  readonly destination: LogDestination["kind"];
  /** Writes what waits, but no longer than `limitMs`; a log never configured says it on stderr. */
  close(limitMs: number): Promise<void>;
  /** Writes what it can in this turn: for the `exit` event. */
  flushNow(): void;
}

export interface DaemonLogOptions {
  readonly program: "mailshunt" | "lmtp-proxy" | "podop";
  readonly host: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Entries held until the configuration says where they go. */
const MAX_HELD = 1_000;

const FALLBACK: LogSettings = { to: { kind: "stderr" }, format: "text", level: "info" };

interface Configured {
  readonly settings: LogSettings;
  readonly target: LogTarget;
  readonly render: RenderLine;
}

export function createDaemonLog(options: DaemonLogOptions): DaemonLog {
  const { clock } = options;
  let current: Configured | undefined;
  let heir: LogHeir | undefined;
  let held: { readonly entry: LogEntry; readonly wallMs: number }[] = [];
  const queue = new LineQueue((lineCount) => lossLine(lineCount));

  function message(level: LogLevel, text: string): LogEntry {
    return { kind: "message", level, part: "daemon", text };
  }

  function lossLine(lineCount: number): string {
    const entry = message("warning", `${lineCount} log lines dropped: what they went to was too slow or gone`);
    return current === undefined ? "" : current.render(entry, clock.wallMs());
  }

  function write(entry: LogEntry): void {
    if (current === undefined) {
      if (held.length < MAX_HELD) held.push({ entry, wallMs: clock.wallMs() });
      return;
    }
    if (isLogged(entry, current.settings.level)) queue.push(current.render(entry, clock.wallMs()));
  }

  function renderer(settings: LogSettings): RenderLine {
    return createRenderer({ ...options, format: settings.format, audience: audienceOf(settings.to, options) });
  }

  function open(to: LogDestination): LogTarget {
    switch (to.kind) {
      case "stderr":
        return openStderrTarget();
      case "file":
        return openFileTarget(to.path, heir);
      case "syslog":
        return openSyslog();
    }
  }

  function openSyslog(): LogTarget {
    return openSyslogTarget({
      tag: options.program === "mailshunt" ? "mailshunt/lmtp" : options.program,
      pid: options.pid,
      environment: options.environment,
      onTrouble: (reason) => write(message("warning", `syslog: ${reason}`)),
    });
  }

  function configure(settings: LogSettings): void {
    const old = current;
    if (old !== undefined && isSameDestination(old.settings.to, settings.to)) {
      current = { ...old, settings, render: renderer(settings) };
      return;
    }
    current = { settings, target: open(settings.to), render: renderer(settings) };
    queue.setTarget(current.target, () => void old?.target.close());
    const waiting = held;
    held = [];
    for (const { entry, wallMs } of waiting)
      if (isLogged(entry, settings.level)) queue.push(current.render(entry, wallMs));
  }

  return {
    write,
    configure,
    reopen: () => current?.target.reopen(),
    get destination() {
      return (current?.settings ?? FALLBACK).to.kind;
    },
    giveTo: (next) => void (heir = next),
    async close(limitMs) {
      if (current === undefined) configure(FALLBACK);
      await queue.drain(limitMs);
      await current?.target.close();
    },
    flushNow() {
      if (current === undefined) configure(FALLBACK);
      queue.flushNow();
    },
  };
}

function isSameDestination(a: LogDestination, b: LogDestination): boolean {
  return a.kind === b.kind && (a.kind !== "file" || (b.kind === "file" && a.path === b.path));
}

function audienceOf(to: LogDestination, options: DaemonLogOptions): LineAudience {
  if (to.kind === "syslog") return "syslog";
  return to.kind === "stderr" && isJournal(options.environment["JOURNAL_STREAM"]) ? "journal" : "plain";
}

/** `device:inode` of what systemd connected to the journal; a child's redirected stderr is another. Source: systemd.exec(5). */
function isJournal(journalStream: string | undefined): boolean {
  if (journalStream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
