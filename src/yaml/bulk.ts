import { PackedTableBuilder } from "../packed/packed-table-builder.ts";
import type { BulkNode, MappingNode } from "./node.ts";

/** Collects a mapping of names straight into a packed table. */
export class BulkBuilder {
  #firstKey = Number.POSITIVE_INFINITY;
  readonly #table = new PackedTableBuilder();
  #valueOffsets = new Uint32Array(256);

  /** @returns false if the key was there; the new value stands */
  set(key: string, value: string, valueOffset: number, keyOffset: number): boolean {
    this.#firstKey = Math.min(this.#firstKey, keyOffset);
    const { entry, isNew } = this.#table.add(key, value);
    if (!isNew) this.#table.setValue(entry, value);
    this.#note(entry, valueOffset);
    return isNew;
  }

  addMissing(key: string, value: string, valueOffset: number): void {
    const { entry, isNew } = this.#table.add(key, value);
    if (isNew) this.#note(entry, valueOffset);
  }

  /** @param start where the mapping begins, if that is not where its first entry does */
  finish(start = Number.POSITIVE_INFINITY): BulkNode {
    const offsets = this.#valueOffsets;
    return {
      kind: "bulk",
      offset: Math.min(this.#firstKey, start),
      table: this.#table,
      valueOffsets: { at: (entry) => offsets[entry] ?? 0 },
    };
  }

  #note(entry: number, valueOffset: number): void {
    if (entry >= this.#valueOffsets.length) {
      const grown = new Uint32Array(this.#valueOffsets.length * 2);
      grown.set(this.#valueOffsets);
      this.#valueOffsets = grown;
    }
    this.#valueOffsets[entry] = valueOffset;
  }
}

/** For a mapping that turned out to be a table only after it was read, behind an alias. */
export function toBulk(node: MappingNode, onOddValue: (key: string, offset: number) => void): BulkNode {
  const bulk = new BulkBuilder();
  for (const [key, { keyOffset, value }] of node.entries) {
    if (value.kind === "scalar") bulk.set(key, value.text, value.offset, keyOffset);
    else onOddValue(key, value.offset);
  }
  return bulk.finish(node.offset);
}
