import type { InferOutput } from "valibot";
import { hostname } from "node:os";
import { section, withDefault } from "../core/option-schema.ts";
import { choice, count, duration, scalar, size, sizeOrUnlimited } from "../core/option-values.ts";
import { bad, ok } from "../core/units.ts";

/** What holds for every LMTP transaction, whichever listener it came through. */
export interface LmtpOptions {
  /** Our name in the greeting, in LHLO towards stores. */
  readonly hostname: string;
  /** Largest message in bytes; undefined: no cap of our own. */
  readonly maxMessageBytes: number | undefined;
  /** Recipients in one transaction; past it 452 4.5.3. */
  readonly maxRecipients: number;
  /** Longest command line in bytes, CR LF included. */
  readonly maxLineBytes: number;
  /** What happens to a message with a bare CR or LF. */
  readonly newlines: "normalize" | "reject";
  /** How long a client may be silent, in ms. */
  readonly idleTimeoutMs: number;
  /** From DATA until all stores have answered it, in ms: less than the client's own limit (Postfix: 120 s). */
  readonly dataTimeoutMs: number;
}

/** RFC 5321 4.5.3.1.8: a server must take at least this many recipients. */
const MIN_RECIPIENTS = 100;
/** RFC 5321 4.5.3.1.4 asks for 512 bytes, DSN, SMTPUTF8, AUTH and XFORWARD for about 3000 more. */
const MIN_LINE_BYTES = 4096;
/** What a peer can make a connection hold before a line ends. */
const MAX_LINE_BYTES = 1024 ** 2;
/** RFC 5321 4.5.3.1.7: a server must take messages of 64 KiB. */
const MIN_MESSAGE_BYTES = 65_536;

const hostName = scalar("a host name", (given) =>
  /^[\p{L}\p{N}_[][\p{L}\p{N}._:\]-]*$/u.test(given) ? ok(given) : bad(`"${given}" is no host name`),
);

export const lmtpSchema = section({
  hostname: withDefault(hostName, hostname, {
    description: "Our name in the greeting, and in LHLO towards stores.",
    defaultText: "the machine's host name",
    example: "shunt.example.com",
  }),
  max_message_size: withDefault(sizeOrUnlimited(MIN_MESSAGE_BYTES), "unlimited", {
    description: "Largest message we take, announced as SIZE. Each store's own limit holds besides.",
  }),
  max_recipients: withDefault(count(MIN_RECIPIENTS, 1_000_000), "10000", {
    description: "Recipients in one transaction; the next one is answered 452 4.5.3.",
  }),
  max_line_size: withDefault(size({ minBytes: MIN_LINE_BYTES, maxBytes: MAX_LINE_BYTES }), "8KiB", {
    description: "Longest command line, CR LF included.",
  }),
  newlines: withDefault(choice(["normalize", "reject"]), "normalize", {
    description: "What happens to a message with a bare LF or CR: rewritten to CR LF and a blank, or refused.",
  }),
  idle_timeout: withDefault(duration(), "300s", { description: "How long a client may be silent." }),
  data_timeout: withDefault(duration(), "100s", {
    description:
      "From DATA until all stores have answered it. Less than the client's own limit (Postfix: `lmtp_data_init_timeout`, 120s).",
  }),
});

export type LmtpSection = InferOutput<typeof lmtpSchema>;

export const toLmtpOptions = (given: LmtpSection): LmtpOptions => ({
  hostname: given.hostname,
  maxMessageBytes: given.max_message_size,
  maxRecipients: given.max_recipients,
  maxLineBytes: given.max_line_size,
  newlines: given.newlines,
  idleTimeoutMs: given.idle_timeout,
  dataTimeoutMs: given.data_timeout,
});
