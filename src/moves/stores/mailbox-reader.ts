import type { ServiceOptions } from "../../backends/service-options.ts";

/** A folder as it is compared: without prefixes and separators of its store. */
export interface Folder {
  /** As its store knows it. */
  readonly path: string;
  /** Levels joined by `/`; a `/` within one stands as `\/`. */
  readonly name: string;
  /** It can have messages. */
  readonly isSelectable: boolean;
  readonly isSubscribed: boolean;
}

export interface FolderState {
  readonly count: number;
  /** UIDs mean the same messages as long as this is the same. */
  readonly uidValidity: string;
}

export interface MessageFacts {
  readonly uid: number;
  readonly flags: ReadonlySet<string>;
  readonly sizeBytes: number;
}

export interface MessageHeaders {
  readonly uid: number;
  /** The header fields of `IDENTIFYING_FIELDS`, as they came. */
  readonly headers: Buffer;
}

/** By which a message is known in both stores: no store touches them, as they do Received or Status. */
export const IDENTIFYING_FIELDS = ["message-id", "date", "from", "subject"] as const;

/** A mailbox that is looked at and never changed: EXAMINE and PEEK alone. Everything rejects with what went wrong. */
export interface MailboxReader {
  /** Of the user alone, not those that others share. */
  folders(): Promise<readonly Folder[]>;
  examine(path: string): Promise<FolderState>;
  /** Of the folder that was examined last, in order. */
  facts(): AsyncIterable<MessageFacts>;
  /** @param uids a set in the notation of IMAP */
  headers(uids: string): AsyncIterable<MessageHeaders>;
  close(): Promise<void>;
}

/** Logs in as the user. @throws Error when that cannot be */
export type OpenMailbox = (store: ServiceOptions, login: string, signal: AbortSignal) => Promise<MailboxReader>;
