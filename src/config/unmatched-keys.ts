import type { RoutingOptions } from "../routing/options.ts";
import type { FaultCollector } from "./faults.ts";
import type { BulkNode } from "../yaml/node.ts";

export interface AskedTable {
  readonly bulk: BulkNode;
  readonly key: RoutingOptions["key"];
  /** What in the file says so, such as `routing.key is localpart`. */
  readonly because: string;
}

/** Valid without a domain: RFC 5321 4.5.1. */
const POSTMASTER = "postmaster";

/** One warning a table at most, of entries that the router will not come to ask for. */
export function warnOfUnmatchedKeys({ bulk, key, because }: AskedTable, faults: FaultCollector): void {
  const { table, valueOffsets } = bulk;
  if (key === "localpart") {
    const { count, first } = table.keysWithAtSign;
    if (count === 0) return;
    const given = table.keyAt(first);
    const localPart = given.slice(0, given.lastIndexOf("@"));
    const remedy = localPart === "" ? "" : `, so ask for "${localPart}"`;
    faults.warn(valueOffsets.at(first), `"${given}" can never match: ${because}${remedy}${andMore(count - 1)}`);
    return;
  }
  const { count, first } = table.keysWithoutAtSign;
  if (count === 0) return;
  const named = table.keyAt(first).toLowerCase() === POSTMASTER ? findNextWithout(table, first + 1) : first;
  if (named === undefined) return;
  faults.warn(
    valueOffsets.at(named),
    `"${table.keyAt(named)}" matches only mail to an address without a domain: ${because}${andMore(count - 1)}`,
  );
}

function findNextWithout(table: BulkNode["table"], from: number): number | undefined {
  for (let entry = from, left = table.keysWithoutAtSign.count - 1; left > 0 && entry < table.keyCount; entry++)
    if (!table.keyAt(entry).includes("@")) return entry;
  return undefined;
}

const andMore = (count: number): string =>
  count === 0 ? "" : ` (and ${count} more such ${count === 1 ? "entry" : "entries"})`;
