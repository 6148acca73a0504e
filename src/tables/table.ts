/**
 * What a table says of a key. `absent` may bounce mail, `failed` must only ever delay it,
 * so a table that cannot tell answers `failed`.
 */
export type Answer =
  | { readonly kind: "found"; readonly value: string }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

export const ABSENT: Answer = { kind: "absent" };

export interface Table {
  readonly name: string;
  /** How many keys it has, where that is known: for messages only. */
  readonly entryCount?: number;
  /** Memory and embedded databases answer in the same turn, so that a pipelined burst stays one write. Never throws or rejects. */
  lookup(key: string): Answer | Promise<Answer>;
}
