import type { InferOutput } from "valibot";
import type { Endpoint } from "../core/endpoint.ts";
import { optional, required, section, withDefault } from "../core/option-schema.ts";
import { count, duration, flag, remoteAddress, text } from "../core/option-values.ts";
import { secret } from "../core/secret.ts";
import { serviceSchema, toServiceOptions } from "./service-options.ts";
import type { ServiceOptions } from "./service-options.ts";

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
  /** Where users of this store log in; undefined where nobody was told. */
  readonly imap?: ServiceOptions;
  readonly pop3?: ServiceOptions;
  readonly submission?: ServiceOptions;
}

export const backendSchema = section({
  lmtp: required(remoteAddress(), {
    description: "Where the store speaks LMTP: `unix:/path`, `host:port` or `[v6]:port`.",
    example: "unix:/var/imap/socket/lmtp",
  }),
  user: optional(text(), {
    description: "User for AUTH. Without it no AUTH takes place.",
    example: "proxy",
  }),
  password: optional(secret(), {
    description:
      "Password for AUTH: the text itself, `{ file: /path }` (one newline at its end is dropped) or `{ env: NAME }`. " +
      "Files and environment are read when the configuration is loaded.",
    example: "{ file: /etc/mailshunt/new.password }",
  }),
  max_connections: withDefault(count(1, 100_000), "50", {
    description: "Sessions open at once to this store. A delivery beyond them waits for `slot_timeout`.",
  }),
  max_idle_connections: withDefault(count(0, 100_000), "50", {
    description:
      "Sessions kept open between transactions, for `idle_timeout`: to open one costs more than a message. `0` opens one for each transaction.",
  }),
  idle_timeout: withDefault(duration(), "30s", {
    description: "How long a session is kept for the next transaction.",
  }),
  slot_timeout: withDefault(duration(), "20s", {
    description: "How long a delivery waits for one of `max_connections` before 451 4.3.2.",
  }),
  lowercase_domain: withDefault(flag(), "true", {
    description: "Sends the domain of recipients in lower case: lmtpd of Cyrus 3.6 crashes on upper case.",
  }),
  connect_timeout: withDefault(duration(), "10s", { description: "For the connect over TCP or the unix socket." }),
  greeting_timeout: withDefault(duration(), "30s", { description: "For greeting, LHLO and AUTH together." }),
  command_timeout: withDefault(duration(), "100s", { description: "For each reply to MAIL, RCPT and RSET." }),
  data_timeout: withDefault(duration(), "90s", { description: "For the reply to DATA." }),
  body_timeout: withDefault(duration(), "120s", { description: "For a store that takes no byte of the message." }),
  final_timeout: withDefault(duration(), "540s", {
    description:
      "For each reply after the final dot. Less than the client's own limit (Postfix: `lmtp_data_done_timeout`, 600s): " +
      "a client that gives up first delivers the message again.",
  }),
  imap: optional(serviceSchema(143), {
    description:
      "Where users of this store log in with IMAP: for moves, for `auth-http` listeners and for tables of the type `routing`.",
    example: "{ address: 10.0.0.1:143 }",
  }),
  pop3: optional(serviceSchema(110), { description: "The same for POP3.", example: "{ address: 10.0.0.1:110 }" }),
  submission: optional(serviceSchema(587), {
    description: "The same for submission.",
    example: "{ address: 10.0.0.1:587 }",
  }),
});

export type BackendSection = InferOutput<typeof backendSchema>;

/** @param password as read from where the section says it is */
export function toBackendOptions(name: string, given: BackendSection, password: string | undefined): BackendOptions {
  return {
    name,
    lmtp: given.lmtp,
    ...(given.user === undefined || password === undefined ? {} : { credentials: { user: given.user, password } }),
    maxConnections: given.max_connections,
    maxIdleConnections: given.max_idle_connections,
    idleTimeoutMs: given.idle_timeout,
    slotTimeoutMs: given.slot_timeout,
    lowercaseDomain: given.lowercase_domain,
    timeouts: {
      connectMs: given.connect_timeout,
      greetingMs: given.greeting_timeout,
      commandMs: given.command_timeout,
      dataMs: given.data_timeout,
      bodyMs: given.body_timeout,
      finalMs: given.final_timeout,
    },
    ...(given.imap === undefined ? {} : { imap: toServiceOptions(given.imap) }),
    ...(given.pop3 === undefined ? {} : { pop3: toServiceOptions(given.pop3) }),
    ...(given.submission === undefined ? {} : { submission: toServiceOptions(given.submission) }),
  };
}
