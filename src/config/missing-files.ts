import { existsSync } from "node:fs";
import type { YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, offsetOfValue, textOf, valueOf } from "../yaml/tree.ts";
import type { FaultCollector } from "./faults.ts";

/** By the type of a table: the key that names the file it reads. */
const FILE_KEYS: ReadonlyMap<string, string> = new Map([
  ["file", "path"],
  ["sql", "file"],
]);

/**
 * Warns of tables whose file is not there. For `check` only: a table that cannot be read answers "try again later", and
 * the file may come.
 */
export function warnOfMissingFiles(root: YamlNode, faults: FaultCollector): void {
  for (const { value: table } of entriesOf(valueOf(root, "tables")).values()) {
    const key = FILE_KEYS.get(textOf(valueOf(table, "type")) ?? "");
    const entry = key === undefined ? undefined : entryOf(table, key);
    const path = textOf(entry?.value);
    if (entry !== undefined && path?.startsWith("/") === true && !existsSync(path))
      faults.warn(offsetOfValue(entry), `there is no file ${path} on this machine: until it comes, lookups fail`);
  }
}
