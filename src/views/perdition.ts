import type { LoginPlace } from "./places.ts";

export type PerditionLine =
  /** With its end. */
  | { readonly kind: "line"; readonly line: string }
  /** The user cannot be said in this format. */
  | { readonly kind: "skipped"; readonly reason: string };

const skipped = (reason: string): PerditionLine => ({ kind: "skipped", reason });

/**
 * A user in the map of perdition, as makegdbm and makebdb read it: `KEY:HOST:PORT`. The key ends at the first colon,
 * and nothing can be quoted. The port is one protocol's, so that a perdition that serves another needs a map of its own.
 * Source: perditiondb(5).
 */
export function toPerditionLine(user: string, { address }: Pick<LoginPlace, "address">): PerditionLine {
  if (user.includes(":")) return skipped("a colon ends perdition's key");
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(user)) return skipped("it has control characters");
  if (/^[\s#]|\s$/.test(user) || user === "") return skipped("perdition would read another key");
  if (address.host.includes(":")) return skipped(`perdition cannot tell the port of ${address.host}`);
  return { kind: "line", line: `${user}:${address.host}:${address.port}\n` };
}
