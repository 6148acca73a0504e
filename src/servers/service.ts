import type { Parameters } from "../protocols/lmtp/command.ts";
import type { Announcement } from "../protocols/lmtp/greeting.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";
import type { MailCommand } from "../protocols/lmtp/server-session.ts";

/** One message on its way in: the proxy's goes on to stores, the store's goes into Maildirs. */
export interface IncomingMessage {
  /** @param answer called once, maybe before this returns, at the latest at `abort`; a positive reply owes the client a final one */
  addRecipient(address: string, parameters: Parameters, answer: (reply: Reply) => void): void;
  /** @param onReply called once, after every recipient is answered, with 354 or a refusal that ends the message; at the latest at `abort` */
  startData(onReply: (reply: Reply) => void): void;
  /** How many final replies are owed; known once DATA is answered. */
  readonly acceptedCount: number;
  /** @param pieces of the body, dot-stuffed, every line ended by CR LF */
  write(pieces: readonly Buffer[]): void;
  /** Whether no more should be written until `onDrain`. */
  readonly isCongested: boolean;
  /** Nothing of the body counts: every recipient gets this as its final reply. */
  refuseBody(refusal: Reply): void;
  /** @param onFinalReply called once for each accepted recipient, in any order, maybe before this returns */
  finish(onFinalReply: (index: number, reply: Reply) => void): void;
  /** The client sends nothing more, and may still read: it must not be kept waiting for long. */
  onAllSaid(): void;
  /** The client takes the message back or has gone. */
  abort(): void;
}

export interface SessionLimits {
  readonly maxLineBytes: number;
  readonly maxMessageBytes: number | undefined;
  readonly newlines: "normalize" | "reject";
  readonly idleTimeoutMs: number;
}

export interface ClientNames {
  /** Id of its session, for log lines and replies. */
  readonly session: string;
  /** Its address; undefined on a unix socket. */
  readonly address: string | undefined;
}

/** What stands behind an LMTP listener. */
export interface LmtpService {
  readonly limits: SessionLimits;
  announcement(isTrustedClient: boolean): Announcement;
  /** @param onDrain to be called when `isCongested` has become false */
  begin(mail: MailCommand, client: ClientNames, onDrain: () => void): IncomingMessage;
}
