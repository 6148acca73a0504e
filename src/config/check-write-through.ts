import { didYouMean } from "../core/closest-name.ts";
import { TABLE_TYPES } from "../tables/registry.ts";
import type { YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, offsetOfValue, textOf, valueOf } from "../yaml/tree.ts";
import type { FaultCollector } from "./faults.ts";

/** A table that a move is to write has to take it, and to give it back to the router as it was written. */
export function checkWriteThrough(root: YamlNode, faults: FaultCollector): void {
  const option = entryOf(valueOf(root, "directory"), "write_through");
  const name = textOf(option?.value);
  if (option === undefined || name === undefined) return;
  const offset = offsetOfValue(option);
  const tables = entriesOf(valueOf(root, "tables"));
  const table = tables.get(name)?.value;
  if (table === undefined) {
    faults.error(offset, `there is no table "${name}"${didYouMean(name, tables.keys())}`);
    return;
  }
  const fault = faultOfWriting(name, table);
  if (fault !== undefined) faults.error(offset, fault);
  const value = entryOf(table, "value");
  if (value !== undefined)
    faults.error(
      value.keyOffset,
      `moves write backends' names as they are (directory.write_through), which "value" would read as something else: ` +
        `let the source itself give and take names of backends`,
    );
  checkPlace(root, name, offset, faults);
}

/** Undefined where it can be written. A wrong type is told elsewhere. */
function faultOfWriting(name: string, table: YamlNode): string | undefined {
  const type = textOf(valueOf(table, "type"));
  if (type === undefined || !TABLE_TYPES.has(type)) return undefined;
  switch (type) {
    case "url":
    case "redis":
      return undefined;
    case "sql":
      return entryOf(table, "set") === undefined
        ? `table "${name}" has no query "set", by which moves would write where users live`
        : undefined;
    default:
      return `moves cannot write table "${name}": that takes one of the type sql, url or redis, this is ${type}`;
  }
}

/** Everybody has to follow what is written there. */
function checkPlace(root: YamlNode, name: string, offset: number, faults: FaultCollector): void {
  const list = valueOf(valueOf(root, "routing"), "tables");
  if (list !== undefined && list.kind !== "sequence") return;
  const routed = (list?.items ?? []).map(textOf);
  const place = routed.indexOf(name);
  if (place === -1)
    faults.error(offset, `routing.tables does not name "${name}": nobody would follow what moves write there`);
  const before = routed.slice(0, Math.max(0, place)).map((other) => `"${other ?? ""}"`);
  if (before.length > 0)
    faults.warn(
      offset,
      `${before.join(", ")} ${before.length === 1 ? "is" : "are"} asked before "${name}": users found there cannot be moved`,
    );
}
