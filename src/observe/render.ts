import { formatWithOptions } from "node:util";
import type { LogEntry, LogLevel } from "../core/log.ts";
import { deliveryLine } from "./delivery-line.ts";
import { printable, printableJson } from "./printable.ts";

/** Numbers of RFC 5424 6.2.1. */
const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 };

/** mail, times eight: RFC 5424 6.2.1. */
const MAIL_FACILITY = 2 * 8;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * Who else reads the line. `plain`: nobody, so it carries time, host and tag. `journal`: systemd, which adds those
 * and takes the severity from `<N>`. `syslog`: logger(1) with --prio-prefix, which takes facility and severity.
 */
export type LineAudience = "plain" | "journal" | "syslog";

export interface RenderOptions {
  readonly format: "text" | "json";
  readonly audience: LineAudience;
  /** `mailshunt`, which gets the part behind a slash, or `lmtp-proxy`, which stands alone as it always did. */
  readonly program: "mailshunt" | "lmtp-proxy" | "podop";
  readonly host: string;
  readonly pid: number;
}

export type RenderLine = (entry: LogEntry, wallMs: number) => string;

export function isLogged(entry: LogEntry, threshold: LogLevel): boolean {
  return SEVERITY[levelOf(entry)] <= SEVERITY[threshold];
}

/** Turns entries into lines, each with its LF. */
export function createRenderer(options: RenderOptions): RenderLine {
  const body = options.format === "json" ? jsonBody(options) : textBody(options);
  const base = options.audience === "syslog" ? MAIL_FACILITY : 0;
  if (options.audience === "plain") return (entry, wallMs) => `${body(entry, wallMs)}\n`;
  return (entry, wallMs) => `<${base + SEVERITY[levelOf(entry)]}>${body(entry, wallMs)}\n`;
}

function levelOf(entry: LogEntry): LogLevel {
  if (entry.kind === "message") return entry.level;
  return entry.status === "uncertain" ? "warning" : "info";
}

function textBody(options: RenderOptions): RenderLine {
  const stamp = options.audience === "plain" ? createStamp(options) : () => "";
  return (entry, wallMs) => {
    const session = entry.session === undefined ? "" : `${printable(entry.session)}: `;
    const part = entry.kind === "delivery" ? "lmtp" : entry.part;
    return `${stamp(part, wallMs)}${session}${entry.kind === "delivery" ? deliveryLine(entry) : messageText(entry)}`;
  };
}

/** Postfix says the severity in words where it is worse than normal, and its parsers look for the words. */
function messageText(entry: Extract<LogEntry, { kind: "message" }>): string {
  const word = entry.level === "error" || entry.level === "warning" ? `${entry.level}: ` : "";
  return word + printable(entry.text);
}

/** `Nov 20 15:42:29 host mailshunt/lmtp[pid]: `, in local time as syslogd writes it. */
function createStamp(options: RenderOptions): (part: string, wallMs: number) => string {
  let second = Number.NaN;
  let text = "";
  return (part, wallMs) => {
    const now = Math.floor(wallMs / 1000);
    if (now !== second) {
      second = now;
      text = `${localTime(new Date(wallMs))} ${options.host} ${options.program}`;
    }
    return options.program === "mailshunt" ? `${text}/${part}[${options.pid}]: ` : `${text}[${options.pid}]: `;
  };
}

function localTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = String(date.getDate()).padStart(2, " ");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${MONTHS[date.getMonth()] ?? ""} ${day} ${time}`;
}

/** Field names are an interface: scripts read them. Times are in seconds there, as in the text line. */
function jsonBody(options: RenderOptions): RenderLine {
  return (entry, wallMs) => {
    const head = {
      time: new Date(wallMs).toISOString(),
      host: options.host,
      program: options.program,
      pid: options.pid,
      level: levelOf(entry),
      event: entry.kind,
    };
    if (entry.kind === "message")
      return printableJson({ ...head, part: entry.part, session: entry.session, text: entry.text });
    const [a, b, c, d] = entry.delaysMs;
    return printableJson({
      ...head,
      part: "lmtp",
      session: entry.session,
      to: entry.recipient,
      from: entry.sender,
      ident: entry.ident,
      backend: entry.backend,
      backend_session: entry.backendSession,
      relay: entry.relay,
      conn_use: entry.connectionUse,
      delay: inSeconds(entry.delayMs),
      delays: [inSeconds(a), inSeconds(b), inSeconds(c), inSeconds(d)],
      dsn: entry.dsn,
      status: entry.status,
      text: entry.text,
    });
  };
}

/** To the microsecond. */
function inSeconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1_000_000;
}

/** An error with its stack on one line, for the log. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : formatWithOptions({ depth: 2 }, "%o", error);
  return text.replace(/\s*\n\s*/g, " | ");
}
