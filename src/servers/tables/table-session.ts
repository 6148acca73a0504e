/** What a session wants done with one request of its client. */
export type Turn =
  /** One character a byte. */
  | { readonly kind: "reply"; readonly text: string }
  /** A reply of any length, written as the client takes it. */
  | { readonly kind: "stream"; readonly pages: AsyncIterable<Buffer> }
  /** Requests that have no reply. */
  | { readonly kind: "nothing" }
  /** Once what came before is answered. `reason` is for the log. */
  | { readonly kind: "close"; readonly reason: string };

export const NOTHING: Turn = { kind: "nothing" };

/** One client of a table protocol: bytes in, requests answered one after another in the order in which they came. */
export interface TableSession {
  push(chunk: Buffer): void;
  /** Whether bytes wait that were not given out yet: part of a request at least. */
  readonly hasInput: boolean;
  /** Answers the next request; undefined until one is complete. Never throws or rejects. */
  next(): Turn | Promise<Turn> | undefined;
}
