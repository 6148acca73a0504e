/** Severities of RFC 5424, the ones we use. */
export type LogLevel = "error" | "warning" | "notice" | "info" | "debug";

/** What became of one recipient, written once, when its final reply is known. */
export interface DeliveryRecord {
  readonly kind: "delivery";
  readonly session: string;
  /** As given in RCPT, without the angle brackets. */
  readonly recipient: string;
  readonly sender: string;
  /** Name of the backend, or "none" when no store was asked. */
  readonly backend: string;
  /** `host[ip]:port` or `host[/path]` as Postfix writes it, or "none". */
  readonly relay: string;
  /** The store's id of its own session or delivery, where its replies name one. */
  readonly backendSession?: string | undefined;
  /** Queue id of the client, from XFORWARD IDENT. */
  readonly ident?: string | undefined;
  /** Which transaction on the backend's connection this was; 1 is the first. */
  readonly connectionUse: number;
  /** Milliseconds from RCPT to the final reply. */
  readonly delayMs: number;
  /** Milliseconds: until a store session was ready, until RCPT was answered, until the final dot, until the reply. */
  readonly delaysMs: readonly [number, number, number, number];
  /** Enhanced status code, such as `2.0.0`. */
  readonly dsn: string;
  /** `uncertain`: the final dot was sent and no reply came, so the store may hold the message. */
  readonly status: "sent" | "deferred" | "bounced" | "uncertain";
  /** The reply as the client got it, lines joined by a blank. */
  readonly text: string;
}

export interface LogMessage {
  readonly kind: "message";
  readonly level: LogLevel;
  /** The part of mailshunt that speaks, as in `mailshunt/lmtp[pid]:`. */
  readonly part: "daemon" | "lmtp" | "backend" | "config" | "store" | "table" | "admin" | "move" | "login";
  /** Front session id, where the line belongs to one. */
  readonly session?: string;
  readonly text: string;
}

export type LogEntry = DeliveryRecord | LogMessage;

/** Takes any text from peers: the writer makes control characters harmless. */
export interface Log {
  write(entry: LogEntry): void;
}
