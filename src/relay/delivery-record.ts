import type { DeliveryRecord } from "../core/log.ts";
import { describeReply, isPositive, type Reply } from "../protocols/lmtp/reply.ts";
import type { MailCommand } from "../protocols/lmtp/server-session.ts";
import type { Recipient } from "./recipient.ts";

export interface DeliveryOutcome {
  readonly session: string;
  readonly mail: MailCommand;
  readonly recipient: Recipient;
  readonly reply: Reply;
  readonly nowMs: number;
  /** The store may hold the message, yet the client was not told that it does. */
  readonly isUncertain: boolean;
}

/** The delivery line of one recipient. */
export function deliveryRecord(outcome: DeliveryOutcome): DeliveryRecord {
  const { recipient, reply, nowMs, mail } = outcome;
  const { leg } = recipient;
  const answeredMs = Math.max(recipient.answeredMs, recipient.sinceMs);
  const readyMs = clamp(leg?.readyMs ?? recipient.sinceMs, recipient.sinceMs, answeredMs);
  const dotMs = clamp(leg?.dotMs ?? nowMs, answeredMs, nowMs);
  return {
    kind: "delivery",
    session: outcome.session,
    recipient: toText(recipient.address),
    sender: toText(mail.sender.text),
    backend: leg?.pool.options.name ?? "none",
    relay: leg?.peer ?? "none",
    backendSession: findBackendSession(reply),
    ident: mail.xforward.get("IDENT"),
    connectionUse: leg?.uses ?? 1,
    delayMs: nowMs - recipient.sinceMs,
    delaysMs: [readyMs - recipient.sinceMs, answeredMs - readyMs, dotMs - answeredMs, nowMs - dotMs],
    dsn: reply.enhanced ?? `${Math.floor(reply.code / 100)}.0.0`,
    status: statusOf(outcome),
    text: toText(describeReply(reply)),
  };
}

/** From one character a byte, as the wire has it, to what a reader expects of UTF-8. */
function toText(wire: string): string {
  return /[\x80-\xff]/.test(wire) ? Buffer.from(wire, "latin1").toString("utf8") : wire;
}

function statusOf({ reply, isUncertain }: DeliveryOutcome): DeliveryRecord["status"] {
  if (isUncertain) return "uncertain";
  if (isPositive(reply)) return "sent";
  return reply.code >= 500 ? "bounced" : "deferred";
}

/** Cyrus: `Success SESSIONID=<…>`; Dovecot: `<rcpt> SESSION Saved`. */
function findBackendSession(reply: Reply): string | undefined {
  const text = reply.lines.at(-1) ?? "";
  return /SESSIONID=<([^>]+)>/.exec(text)?.[1] ?? /^<[^>]*> (\S+) Saved$/.exec(text)?.[1];
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
