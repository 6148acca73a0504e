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
