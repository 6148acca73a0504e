import type { PackedTableBuilder } from "../packed/packed-table-builder.ts";

/** Offsets count UTF-16 units of the decoded file, from 0. */
interface NodeBase {
  readonly offset: number;
}

/**
 * A scalar as its source text: whether `no`, `0660` or `12345` is a name, a mode or a number
 * is for whoever reads the option to say, not for YAML.
 */
export interface ScalarNode extends NodeBase {
  readonly kind: "scalar";
  readonly text: string;
  readonly endOffset: number;
  /** Written without quotes. */
  readonly isPlain: boolean;
}

export interface SequenceNode extends NodeBase {
  readonly kind: "sequence";
  readonly items: readonly YamlNode[];
}

export interface MappingEntry {
  readonly keyOffset: number;
  readonly value: YamlNode;
}

export interface MappingNode extends NodeBase {
  readonly kind: "mapping";
  readonly entries: ReadonlyMap<string, MappingEntry>;
}

/** A mapping of keys to scalars that may have millions of entries, kept without an object for each. */
export interface BulkNode extends NodeBase {
  readonly kind: "bulk";
  readonly table: PackedTableBuilder;
  /** Where the value of each entry stands, by the entry's number. */
  readonly valueOffsets: OffsetList;
}

export interface OffsetList {
  at(entry: number): number;
}

export type YamlNode = ScalarNode | SequenceNode | MappingNode | BulkNode;

/** `key:` with nothing behind it. */
export const isEmptyNode = (node: YamlNode): boolean => node.kind === "scalar" && node.isPlain && node.text === "";

export function describeNode(node: YamlNode): string {
  switch (node.kind) {
    case "scalar":
      return isEmptyNode(node) ? "nothing" : "text";
    case "sequence":
      return "a list";
    case "mapping":
    case "bulk":
      return "a mapping";
  }
}
