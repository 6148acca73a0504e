import type { FaultCollector } from "./faults.ts";
import { toBulk } from "../yaml/bulk.ts";
import type { MappingEntry, MappingNode, YamlNode } from "../yaml/node.ts";

/** Where either format has a mapping of users, which may have millions: `users`, and `tables: NAME: entries`. */
export const isTablePath = (path: readonly string[]): boolean =>
  (path.length === 1 && path[0] === "users") || (path.length === 3 && path[0] === "tables" && path[2] === "entries");

/** The same tree, with those tables packed that were read as mappings because they stand behind an alias. */
export function packTables(root: MappingNode, faults: FaultCollector, path: readonly string[] = []): MappingNode {
  const entries = new Map<string, MappingEntry>();
  for (const [key, { keyOffset, value }] of root.entries)
    entries.set(key, { keyOffset, value: packTable(value, [...path, key], faults) });
  return { kind: "mapping", offset: root.offset, entries };
}

function packTable(node: YamlNode, path: readonly string[], faults: FaultCollector): YamlNode {
  if (node.kind !== "mapping") return node;
  if (isTablePath(path))
    return toBulk(node, (key, offset) => faults.error(offset, `the value of "${key}" must be one name`));
  return path[0] === "tables" && path.length < 3 ? packTables(node, faults, path) : node;
}
