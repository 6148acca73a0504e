import type { Endpoint } from "../core/endpoint.ts";
import type { Answer, TableEntry } from "./table.ts";

/** What a table of the type `routing` makes of a route. */
export const ROUTING_VIEWS = ["transport", "passdb", "backend", "imap", "pop3", "submission"] as const;

/** Who asks a passdb. */
export const PASSDB_SERVICES = ["imap", "pop3", "submission", "lmtp"] as const;
export type PassdbService = (typeof PASSDB_SERVICES)[number];

export interface RoutingView {
  readonly as: (typeof ROUTING_VIEWS)[number];
  /** Of a passdb; undefined: the key begins with it. */
  readonly service: PassdbService | undefined;
  /** Where our LMTP listener is reached; undefined: where the first one listens. */
  readonly lmtp: Endpoint | undefined;
  /** Mail goes to the store itself. */
  readonly isDirect: boolean;
  /** Domains of ours in lower case; undefined: all. */
  readonly domains: ReadonlySet<string> | undefined;
  /** A passdb tells whom stores let in as anybody. */
  readonly tellsMaster: boolean;
}

/**
 * The router and the directory of the configuration whose tables they are asked by. Only to be asked by lookups: they
 * are made after the tables. Answers never throw or reject.
 */
export interface TableViews {
  route(view: RoutingView, key: string): Answer | Promise<Answer>;
  /** Which backend the directory has for a user. @param key an address, or a user key */
  findEntry(key: string): Answer;
  /** All users whose keys begin with a prefix, with their backends. Unlike the others it throws, when it cannot go on. */
  listEntries(prefix: string): AsyncIterable<readonly TableEntry[]>;
}

export const NO_ROUTER: Answer = { kind: "failed", reason: "there is no router here" };
