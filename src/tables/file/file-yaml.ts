import { composeYaml } from "../../yaml/compose.ts";
import { describeNode } from "../../yaml/node.ts";
import type { YamlNode } from "../../yaml/node.ts";
import { describeDuplicate, EntryCollector, Findings } from "./file-findings.ts";
import type { ParsedFile } from "./file-findings.ts";

/** One mapping of key to text. Numbers and words such as `no` stay text; of two entries with one key the last counts. */
export function parseYamlTable(text: string, foldsKeys: boolean): ParsedFile {
  const { root, faults: found, duplicates } = composeYaml(text, (path) => path.length === 0, undefined, "text");
  const faults = new Findings();
  const warnings = new Findings();
  for (const { offset, message } of found) faults.add(offset, message);
  for (const { offset, key } of duplicates) warnings.add(offset, describeDuplicate(key, "last"));
  if (root?.kind !== "bulk") {
    const entries = new EntryCollector("last", foldsKeys);
    if (found.length === 0) faults.add(root?.offset ?? 0, describeRoot(root));
    return { table: entries.table, faults, warnings };
  }
  const { table, valueOffsets } = root;
  if (!foldsKeys) return { table, faults, warnings };
  const folded = new EntryCollector("last", true);
  for (let entry = 0; entry < table.keyCount; entry += 1)
    folded.add(table.keyAt(entry), table.valueAt(entry), valueOffsets.at(entry));
  for (const { offset, text: said } of folded.warnings.kept) warnings.add(offset, said);
  return { table: folded.table, faults, warnings };
}

function describeRoot(root: YamlNode | undefined): string {
  if (root === undefined || (root.kind === "scalar" && root.text === ""))
    return "there is nothing in the file: write {} for a table without entries";
  return `the file must be one mapping of key to value, this is ${describeNode(root)}`;
}
