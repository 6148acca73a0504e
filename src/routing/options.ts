export interface RoutingOptions {
  /** Which part of an address is the user key. */
  readonly key: "localpart" | "address";
  /** Characters that end the user part of a local part, such as `+`; empty for none. */
  readonly recipientDelimiter: string;
  /** Names of tables, asked in order. */
  readonly tables: readonly string[];
  /** Backend for users in no table, or the words `hold` and `refuse`. */
  readonly fallback?: string;
  /** Answer for a user in no table where there is no fallback: 451 4.1.1 or 550 5.1.1. */
  readonly unknown: "defer" | "reject";
}
