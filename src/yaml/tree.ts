import type { IssuePathItem } from "valibot";
import { isEmptyNode } from "./node.ts";
import type { BulkNode, MappingEntry, MappingNode, YamlNode } from "./node.ts";

/**
 * What the option schemas take: text, null for nothing, arrays, Maps, and packed tables as they are.
 * A node that aliases share is turned once, so that the result is no larger than the file.
 */
export function toRaw(node: YamlNode, seen = new Map<YamlNode, unknown>()): unknown {
  const known = seen.get(node);
  if (known !== undefined) return known;
  const raw = makeRaw(node, seen);
  seen.set(node, raw);
  return raw;
}

function makeRaw(node: YamlNode, seen: Map<YamlNode, unknown>): unknown {
  switch (node.kind) {
    case "scalar":
      return isEmptyNode(node) ? null : node.text;
    case "sequence":
      return node.items.map((item) => toRaw(item, seen));
    case "mapping":
      return new Map([...node.entries].map(([key, { value }]) => [key, toRaw(value, seen)]));
    case "bulk":
      return node.table;
  }
}

/** Where a fault about an entry's value is shown: at the value if it is a scalar, else at its key. */
export function offsetOfValue({ keyOffset, value }: MappingEntry): number {
  return value.kind === "scalar" && !isEmptyNode(value) ? value.offset : keyOffset;
}

/** Where the thing stands that a schema's issue is about. */
export function locateIssue(root: YamlNode, path: readonly IssuePathItem[] | undefined): number {
  let node = root;
  let offset = root.offset;
  for (const { key, origin } of path ?? []) {
    if (node.kind === "mapping") {
      const entry = node.entries.get(String(key));
      if (entry === undefined) break;
      offset = origin === "key" ? entry.keyOffset : offsetOfValue(entry);
      node = entry.value;
    } else if (node.kind === "sequence") {
      const item = node.items[Number(key)];
      if (item === undefined) break;
      offset = item.offset;
      node = item;
    } else break;
  }
  return offset;
}

export const entryOf = (node: YamlNode | undefined, key: string): MappingEntry | undefined =>
  node?.kind === "mapping" ? node.entries.get(key) : undefined;

export const valueOf = (node: YamlNode | undefined, key: string): YamlNode | undefined => entryOf(node, key)?.value;

export const textOf = (node: YamlNode | undefined): string | undefined =>
  node?.kind === "scalar" && !isEmptyNode(node) ? node.text : undefined;

/** What YAML reads as no value: nothing, `~` or `null`, unquoted. */
export const isNone = (node: YamlNode): boolean =>
  node.kind === "scalar" && node.isPlain && /^(?:|~|null|Null|NULL)$/.test(node.text);

export const entriesOf = (node: YamlNode | undefined): MappingNode["entries"] =>
  node?.kind === "mapping" ? node.entries : new Map<string, MappingEntry>();

/** Calls `report` for each entry whose value fails; every distinct value is judged once. */
export function judgeValues(
  bulk: BulkNode,
  judge: (value: string) => string | undefined,
  report: (offset: number, key: string, reason: string) => void,
): void {
  const reasons = bulk.table.values.map(judge);
  if (!reasons.some((reason) => reason !== undefined)) return;
  for (let entry = 0; entry < bulk.table.keyCount; entry++) {
    const reason = reasons[bulk.table.valueNumberAt(entry)];
    if (reason !== undefined) report(bulk.valueOffsets.at(entry), bulk.table.keyAt(entry), reason);
  }
}
