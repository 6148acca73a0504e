import type { Endpoint } from "../core/endpoint.ts";

export interface BackendTimeouts {
  /** For TCP or unix connect, in ms. */
  readonly connectMs: number;
  /** For greeting, LHLO and AUTH together, in ms. */
  readonly greetingMs: number;
  /** For the reply to MAIL, RCPT, RSET, in ms each. */
  readonly commandMs: number;
  /** For the reply to DATA, in ms. */
  readonly dataMs: number;
  /** For a store that takes no body bytes at all, in ms. */
  readonly bodyMs: number;
  /** For each reply after the final dot, in ms; less than the client's, or mail is delivered twice. */
  readonly finalMs: number;
}

export interface BackendOptions {
  readonly name: string;
  readonly lmtp: Endpoint;
  readonly credentials?: { readonly user: string; readonly password: string };
  /** Sessions open at once. */
  readonly maxConnections: number;
  /** Sessions kept open between transactions. */
  readonly maxIdleConnections: number;
  /** How long a session is kept for the next transaction, in ms. */
  readonly idleTimeoutMs: number;
  /** How long a delivery waits for one of `maxConnections`, in ms, before 451 4.3.2. */
  readonly slotTimeoutMs: number;
  /** Sends the domain of recipients in lower case (lmtpd of Cyrus 3.6 crashes on upper case). */
  readonly lowercaseDomain: boolean;
  readonly timeouts: BackendTimeouts;
}
