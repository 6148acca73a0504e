import type { MappingEntry, YamlNode } from "./node.ts";

/** Entries copied by `<<` in one file, at most: `<<` of `<<` multiplies. */
const MAX_MERGED_ENTRIES = 1_000_000;

/** Resolves the `<<` of one file. */
export class Merger {
  readonly #report: (offset: number, message: string) => void;
  readonly #ignored = new Set<YamlNode>();
  #mergedEntries = 0;

  constructor(report: (offset: number, message: string) => void) {
    this.#report = report;
  }

  /** For what stands in the place of something that is reported already. */
  ignore(node: YamlNode): void {
    this.#ignored.add(node);
  }

  /** Calls `add` for each entry of a mapping, or of each mapping in a list. */
  merge(from: YamlNode, offset: number, add: (name: string, entry: MappingEntry) => void): void {
    if (from.kind === "sequence") {
      for (const item of from.items) {
        if (item.kind === "sequence") this.#report(offset, '"<<" takes a mapping or a list of mappings');
        else this.merge(item, offset, add);
      }
    } else if (from.kind === "mapping") {
      if (!this.#mayMerge(from.entries.size, offset)) return;
      for (const [name, entry] of from.entries) add(name, entry);
    } else if (from.kind === "bulk") {
      const { table, valueOffsets } = from;
      if (!this.#mayMerge(table.keyCount, offset)) return;
      for (let entry = 0; entry < table.keyCount; entry++)
        add(table.keyAt(entry), makeEntry(table.valueAt(entry), valueOffsets.at(entry)));
    } else if (!this.#ignored.has(from))
      this.#report(offset, '"<<" takes a mapping or a list of mappings, such as *name');
  }

  #mayMerge(count: number, offset: number): boolean {
    const before = this.#mergedEntries;
    this.#mergedEntries += count + 1;
    if (this.#mergedEntries <= MAX_MERGED_ENTRIES) return true;
    if (before <= MAX_MERGED_ENTRIES)
      this.#report(offset, `"<<" copies more than ${MAX_MERGED_ENTRIES} entries in this file`);
    return false;
  }
}

const makeEntry = (text: string, offset: number): MappingEntry => ({
  keyOffset: offset,
  value: { kind: "scalar", text, offset, endOffset: offset + text.length, isPlain: true },
});
