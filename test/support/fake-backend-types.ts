/** The moments at which a script can make a fake backend misbehave. */
export type Stage =
  | "greeting"
  | "lhlo"
  | "auth"
  | "xforward"
  | "mail"
  | "rcpt"
  | "data"
  /** The message is about to be read: after the 354. */
  | "body"
  /** The final dot has come: one behaviour in place of all final replies. */
  | "dot"
  /** One final reply, once per accepted recipient, in order. */
  | "final"
  | "rset"
  | "noop"
  | "quit"
  /** A command the fake does not know. */
  | "other";

/** What a test can wait for. `stall`: a behaviour waits for `release`. */
export type FakeEvent = Stage | "connection" | "command" | "accepted" | "body-bytes" | "stall" | "close" | "reset";

/**
 * What happens at a stage.
 * A string is one reply (lines of a multi-line reply divided by "\n"), a list of strings that many replies:
 * `[]` is too few, two where one is due are too many.
 * `afterBytes` counts body bytes and holds at the stage `body` only.
 */
export type Behaviour =
  | string
  | readonly string[]
  | { readonly do: "reply"; readonly text: string | readonly string[]; readonly afterBytes?: number }
  /** Bytes as they are: garbage, half a reply. */
  | { readonly do: "raw"; readonly bytes: string | Buffer; readonly afterBytes?: number }
  /** Ends the connection (FIN), after these bytes if given. */
  | { readonly do: "close"; readonly bytes?: string; readonly afterBytes?: number }
  /** Breaks the connection (RST on TCP). */
  | { readonly do: "reset"; readonly afterBytes?: number }
  /** Reads and says nothing until `release`; then `next`, or what would have happened without a script. */
  | { readonly do: "stall"; readonly next?: Behaviour; readonly afterBytes?: number }
  /** Stage `body` only: reads one chunk of at most 64 KiB, then waits this long before the next. */
  | { readonly do: "slow"; readonly pauseMs: number };

export interface StageContext {
  readonly stage: Stage;
  /** Counts from 1 over the life of the fake. */
  readonly connection: number;
  /** Counts from 1 on this connection: how many MAILs it has had. */
  readonly use: number;
  /** The command line without its line end, empty where there is none. */
  readonly line: string;
  /** At `rcpt` and `final`: the address as sent, without angle brackets. */
  readonly recipient: string;
  /** At `rcpt`: which RCPT of the transaction; at `final`: which accepted recipient. Counts from 0. */
  readonly index: number;
}

export type Script = { [S in Stage]?: Behaviour | ((context: StageContext) => Behaviour | undefined) };

export interface FakeRecipient {
  readonly address: string;
  readonly parameters: readonly string[];
  /** The reply given, lines divided by "\n"; empty when none was. */
  reply: string;
  accepted: boolean;
}

export interface FakeTransaction {
  readonly connection: number;
  readonly sender: string;
  readonly mailParameters: readonly string[];
  /** XFORWARD lines since the transaction before. */
  readonly xforward: readonly string[];
  readonly recipients: FakeRecipient[];
  /** The body as it came, still dot-stuffed, up to and including the CR LF before the final dot. Empty unless kept. */
  body: Buffer;
  bodyBytes: number;
  /** Hex SHA-256 of those bytes; set when the dot has come. */
  bodySha256: string;
  /** Replies sent after the dot. */
  readonly finalReplies: string[];
  /** `dot`: the final dot came; `closed`: the connection ended before it. */
  ended: "open" | "dot" | "rset" | "closed";
}

export interface FakeBackendOptions {
  /** A unix socket's path; without it a free port of 127.0.0.1 is taken. */
  readonly path?: string;
  /** Port to take where there is no path; 0 is any. */
  readonly port?: number;
  /** What follows the first line of the LHLO reply. Default: PIPELINING, ENHANCEDSTATUSCODES, 8BITMIME. */
  readonly keywords?: readonly string[];
  /** The only user that AUTH takes; MAIL before it is refused as Cyrus does. Announces PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 unless `mechanisms` says otherwise. */
  readonly auth?: { readonly user: string; readonly password: string; readonly mechanisms?: readonly string[] };
  readonly script?: Script;
  /** Bytes of each write, one write per turn of the event loop. Undefined: a reply is one write. */
  readonly replyChunkBytes?: number;
  /** `false` leaves the enhanced status codes out of the replies that no script gives. */
  readonly enhanced?: boolean;
  /** `false` counts and hashes bodies but does not keep them. */
  readonly keepBodies?: boolean;
  /** `lenient` also takes LF . LF, LF . CR LF, CR LF . LF and ignores lone CRs, as lmtpd of Cyrus does. */
  readonly endOfData?: "strict" | "lenient";
  /** Longest wait of `waitFor` in ms before it rejects. Default 10,000. */
  readonly patienceMs?: number;
}
