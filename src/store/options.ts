export interface StoreOptions {
  /** Holds a folder per user: `<directory>/<user>/Maildir`. */
  readonly directory: string;
  /** Whether `a@x.example` and `a@y.example` are one user or two. */
  readonly key: "localpart" | "address";
  /** Characters that end the user part of a local part; empty for none. */
  readonly recipientDelimiter: string;
  readonly users: { readonly kind: "any" } | { readonly kind: "file"; readonly path: string };
  /** What a user gets who is not in the file: 550 5.1.1, 451 4.1.1, or a mailbox. */
  readonly unknown: "550" | "451" | "accept";
  /** Bytes a mailbox may hold, `new` and `cur` together; undefined: no limit. */
  readonly quotaBytes: number | undefined;
  /** What a full mailbox is answered: 552 5.2.2 or 452 4.2.2. */
  readonly overQuota: "552" | "452";
  /** Recipients of one message; past it 452 4.5.3. */
  readonly maxRecipients: number;
  /** Largest message in bytes as SIZE counts them; undefined: no limit. */
  readonly maxMessageBytes: number | undefined;
  /** In names of messages and in the log. */
  readonly hostname: string;
}
