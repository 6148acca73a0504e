import type { InferOutput } from "valibot";
import { list, optional, section, withDefault } from "../core/option-schema.ts";
import { choice, recipientDelimiter, text } from "../core/option-values.ts";

export interface RoutingOptions {
  /** Which part of an address is the user key. */
  readonly key: "localpart" | "address";
  /** Characters that end the user part of a local part, such as `+`; empty for none. */
  readonly recipientDelimiter: string;
  /** Names of tables, asked in order. */
  readonly tables: readonly string[];
  /** The one of them that is written when a user moves, by `directory.write_through`. */
  readonly authority?: string;
  /** Backend for users in no table, or the words `hold` and `refuse`. */
  readonly fallback?: string;
  /** Answer for a user in no table where there is no fallback: 451 4.1.1 or 550 5.1.1. */
  readonly unknown: "defer" | "reject";
}

export const routingSchema = section({
  key: withDefault(choice(["localpart", "address"]), "localpart", {
    description:
      "What a user is called in the tables: `localpart` (`user1`) or the whole `address` (`user1@example.com`).",
  }),
  recipient_delimiter: withDefault(recipientDelimiter(), "+", {
    description:
      'Characters that begin an extension (`user1+lists`), which the tables do not know; `""` for none. ' +
      "The address itself goes on unchanged.",
  }),
  tables: withDefault(list(text("a table's name"), "[users]"), () => [], {
    description: "Names of the tables that know the users, asked in order.",
    defaultText: "[]",
    example: "[users]",
    isInSample: true,
  }),
  fallback: optional(text("a backend's name, `hold` or `refuse`"), {
    description: "Backend of the users in no table, or `hold` (450 4.2.1) or `refuse` (550 5.7.1).",
    example: "old",
    isInSample: true,
  }),
  unknown: withDefault(choice(["defer", "reject"]), "defer", {
    description:
      "Answer for a user in no table where there is no fallback: `defer` is 451 4.1.1, `reject` is 550 5.1.1.",
  }),
});

export type RoutingSection = InferOutput<typeof routingSchema>;

export const toRoutingOptions = (given: RoutingSection, authority?: string): RoutingOptions => ({
  key: given.key,
  recipientDelimiter: given.recipient_delimiter,
  tables: given.tables,
  ...(authority === undefined ? {} : { authority }),
  ...(given.fallback === undefined ? {} : { fallback: given.fallback }),
  unknown: given.unknown,
});
