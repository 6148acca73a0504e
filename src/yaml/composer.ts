import { COLLECTION_STYLE, EVENT_ID, getScalarValue, SCALAR_STYLE } from "js-yaml";
import type { Event, MappingEvent, ScalarEvent } from "js-yaml";
import { BulkBuilder } from "./bulk.ts";
import { readPiece } from "./lift.ts";
import type { LiftedTable, LiftedText, Piece } from "./lift.ts";
import { Merger } from "./merge.ts";
import { describeNode, isEmptyNode } from "./node.ts";
import type { MappingEntry, MappingNode, ScalarNode, YamlNode } from "./node.ts";
import type { ComposeFault } from "./syntax-fault.ts";

export interface DuplicateKey {
  readonly offset: number;
  readonly key: string;
}

export interface Composed {
  /** Undefined where there is no document at all. */
  readonly root: YamlNode | undefined;
  readonly faults: readonly ComposeFault[];
  /** Keys written twice in one mapping; the last one stands. */
  readonly duplicates: readonly DuplicateKey[];
}

/** Says of a mapping, by its path of keys, that it may be huge and holds nothing but names. */
export type IsBulk = (path: readonly string[]) => boolean;

/** Faults of one kind kept, at most. */
const MAX_KEPT = 100_000;

/** The tags that change nothing, because every scalar is kept as its text anyway. */
const HARMLESS_TAGS: ReadonlySet<string> = new Set(["!", "!!str", "!!int", "!!float", "!!bool", "!!map", "!!seq"]);

/** Makes a tree of a parser's events, once. */
export class Composer {
  readonly #text: string;
  readonly #lifted: LiftedText;
  readonly #events: readonly Event[];
  readonly #isBulk: IsBulk;
  readonly #bulkValue: string;
  readonly #anchors = new Map<string, YamlNode | "open">();
  readonly #faults: ComposeFault[] = [];
  readonly #duplicates: DuplicateKey[] = [];
  readonly #path: string[] = [];
  readonly #merger = new Merger((offset, message) => this.#report(offset, message));
  #index = 0;
  #usedTables = 0;
  #mustParseWhole = false;
  /** End of the last thing read, in the whole text: where an empty scalar stands. */
  #lastEnd = 0;

  /** @param bulkValue what stands as a value in a huge mapping, in the words of a fault */
  constructor(lifted: LiftedText, events: readonly Event[], isBulk: IsBulk, bulkValue: string) {
    this.#text = lifted.text;
    this.#lifted = lifted;
    this.#events = events;
    this.#isBulk = isBulk;
    this.#bulkValue = bulkValue;
  }

  /** Undefined if lines were cut out that are no entries of a table. */
  compose(): Composed | undefined {
    let root: YamlNode | undefined;
    while (this.#index < this.#events.length) {
      this.#index++; // DOCUMENT
      const node = this.#readNode();
      this.#index++; // POP
      if (root !== undefined) {
        this.#report(node.offset, 'a second document in one file: remove the "---" before it');
        break;
      }
      root = node;
    }
    if (this.#mustParseWhole || this.#usedTables !== this.#lifted.tables.size) return undefined;
    return { root, faults: this.#faults, duplicates: this.#duplicates };
  }

  /** Offsets in nodes and faults are those of the whole text. */
  #at(offset: number): number {
    return this.#lifted.original(offset);
  }

  #report(offset: number, message: string): void {
    if (this.#faults.length < MAX_KEPT) this.#faults.push({ offset, message });
  }

  #readNode(): YamlNode {
    const event = this.#events[this.#index++];
    switch (event?.type) {
      case EVENT_ID.SCALAR:
        return this.#remember(event, this.#readScalar(event));
      case EVENT_ID.ALIAS:
        return this.#readAlias(event.anchorStart, event.anchorEnd);
      case EVENT_ID.SEQUENCE: {
        const anchor = this.#openAnchor(event);
        const items: YamlNode[] = [];
        this.#lastEnd = this.#at(event.start);
        while (this.#events[this.#index]?.type !== EVENT_ID.POP) items.push(this.#readNode());
        this.#index++;
        return this.#closeAnchor(anchor, { kind: "sequence", offset: this.#at(event.start), items });
      }
      case EVENT_ID.MAPPING: {
        const anchor = this.#openAnchor(event);
        this.#lastEnd = this.#at(event.start);
        const node = this.#isBulk(this.#path) ? this.#readBulk(event) : this.#readMapping(event);
        return this.#closeAnchor(anchor, node);
      }
      case EVENT_ID.DOCUMENT:
      case EVENT_ID.POP:
      case undefined:
        throw new Error(`event ${event?.type ?? "none"} where a node begins`);
    }
  }

  #readScalar(event: ScalarEvent): ScalarNode {
    this.#checkTag(event);
    const isPlain = event.style === SCALAR_STYLE.PLAIN;
    if (event.valueStart < 0) {
      const offset = this.#lastEnd;
      return { kind: "scalar", text: "", offset, endOffset: offset, isPlain };
    }
    this.#lastEnd = this.#at(event.valueEnd);
    const isQuoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
    return {
      kind: "scalar",
      text: getScalarValue(this.#text, event),
      offset: this.#at(isQuoted ? event.valueStart - 1 : event.valueStart),
      endOffset: this.#at(event.valueEnd),
      isPlain,
    };
  }

  #readMapping({ start, style }: MappingEvent): MappingNode {
    const entries = new Map<string, MappingEntry>();
    const merges: { readonly from: YamlNode; readonly offset: number }[] = [];
    for (let event = this.#events[this.#index]; event?.type !== EVENT_ID.POP; event = this.#events[this.#index]) {
      const key = this.#readKey();
      if (key === undefined) continue;
      this.#path.push(key.text);
      const value = this.#readValue(event, style === COLLECTION_STYLE.BLOCK);
      this.#path.pop();
      if (isMergeKey(key)) merges.push({ from: value, offset: key.offset });
      else {
        if (entries.has(key.text)) this.#reportDuplicate(key.offset, key.text);
        entries.set(key.text, { keyOffset: key.offset, value });
      }
    }
    this.#index++;
    for (const merge of merges.reverse())
      this.#merger.merge(merge.from, merge.offset, (name, entry) => {
        if (!entries.has(name)) entries.set(name, entry);
      });
    return { kind: "mapping", offset: this.#at(start), entries };
  }

  /** A value, with the lines that were cut out from below its key. */
  #readValue(key: Event | undefined, isInBlock: boolean): YamlNode {
    const table = key?.type === EVENT_ID.SCALAR ? this.#lifted.tables.get(key.valueStart) : undefined;
    if (table === undefined || !isInBlock || !this.#isBulk(this.#path)) return this.#readNode();
    this.#usedTables++;
    const headEnd = this.#lastEnd;
    const event = this.#events[this.#index];
    if (event?.type === EVENT_ID.MAPPING && event.style === COLLECTION_STYLE.BLOCK) {
      this.#index++;
      return this.#closeAnchor(this.#openAnchor(event), this.#readBulk(event, { ...table, headEnd }));
    }
    const value = this.#readNode();
    if (event?.type !== EVENT_ID.SCALAR || !isEmptyNode(value) || event.anchorStart >= 0) this.#mustParseWhole = true;
    const bulk = new BulkBuilder();
    for (const piece of table.pieces) this.#addPiece(bulk, piece, headEnd);
    return bulk.finish();
  }

  #readBulk({ start }: MappingEvent, table?: TableBelow): YamlNode {
    const bulk = new BulkBuilder();
    const merges: { readonly from: YamlNode; readonly offset: number }[] = [];
    const pieces = table?.pieces ?? [];
    let next = 0;
    let lastEnd = table?.headEnd ?? 0;
    for (let event = this.#events[this.#index]; event?.type !== EVENT_ID.POP; event = this.#events[this.#index]) {
      if (table !== undefined && !this.#isEntryAt(event, table.indent)) this.#mustParseWhole = true;
      const keyStart = event?.type === EVENT_ID.SCALAR ? this.#at(event.valueStart) : 0;
      for (let piece = pieces[next]; piece !== undefined && piece.end <= keyStart; piece = pieces[++next])
        this.#addPiece(bulk, piece, lastEnd);
      const key = this.#readKey();
      if (key === undefined) continue;
      const valueEvent = this.#events[this.#index];
      const value = this.#readNode();
      lastEnd = this.#lastEnd;
      if (value.kind !== "scalar" && valueEvent?.type !== EVENT_ID.ALIAS && table !== undefined)
        this.#mustParseWhole = true;
      if (isMergeKey(key)) merges.push({ from: value, offset: key.offset });
      else if (value.kind !== "scalar") this.#reportOddValue(value, key.text);
      else if (!bulk.set(key.text, value.text, value.offset, key.offset)) this.#reportDuplicate(key.offset, key.text);
    }
    this.#index++;
    for (const piece of pieces.slice(next)) this.#addPiece(bulk, piece, lastEnd);
    for (const merge of merges.reverse())
      this.#merger.merge(merge.from, merge.offset, (name, { value }) => {
        if (value.kind === "scalar") bulk.addMissing(name, value.text, value.offset);
        else this.#reportOddValue(value, name);
      });
    return bulk.finish(this.#at(start));
  }

  /** Lines are entries only where nothing reaches over the place that they were cut out of. */
  #addPiece(bulk: BulkBuilder, piece: Piece, lastEnd: number): void {
    if (lastEnd > piece.start) this.#mustParseWhole = true;
    if (this.#mustParseWhole) return;
    for (const { key, keyOffset, value, valueOffset, valueEnd } of readPiece(this.#lifted.whole, piece)) {
      if (!bulk.set(key, value, valueOffset, keyOffset)) this.#reportDuplicate(keyOffset, key);
      this.#lastEnd = valueEnd;
    }
  }

  /** Whether a plain entry begins here, below the others. */
  #isEntryAt(event: Event | undefined, indent: number): boolean {
    if (event?.type !== EVENT_ID.SCALAR || event.valueStart < 0 || event.anchorStart >= 0 || event.tagStart >= 0)
      return false;
    const start = event.style === SCALAR_STYLE.PLAIN ? event.valueStart : event.valueStart - 1;
    const lead = this.#text.slice(this.#text.lastIndexOf("\n", start) + 1, start);
    return lead.length === indent && lead.trim() === "";
  }

  /** The next key; undefined after a fault, with its value skipped. */
  #readKey(): ScalarNode | undefined {
    const key = this.#readNode();
    if (key.kind === "scalar") return key;
    this.#report(key.offset, `a key must be text, this is ${describeNode(key)}`);
    this.#readNode();
    return undefined;
  }

  /** The alias is not named: it may be a password that begins with `*` and lacks its quotes. */
  #readAlias(start: number, end: number): YamlNode {
    const node = this.#anchors.get(this.#text.slice(start, end));
    const offset = this.#at(start - 1);
    this.#lastEnd = this.#at(end);
    if (node === "open") this.#report(offset, "an alias within the very thing it stands for");
    else if (node === undefined)
      this.#report(offset, 'no anchor of this name before it (text that begins with "*" needs quotes)');
    else return node;
    const nothing: ScalarNode = { kind: "scalar", text: "", offset, endOffset: this.#at(end), isPlain: true };
    this.#merger.ignore(nothing);
    return nothing;
  }

  #openAnchor(event: Anchored): string | undefined {
    this.#checkTag(event);
    if (event.anchorStart < 0) return undefined;
    const name = this.#text.slice(event.anchorStart, event.anchorEnd);
    this.#anchors.set(name, "open");
    return name;
  }

  #closeAnchor(name: string | undefined, node: YamlNode): YamlNode {
    if (name !== undefined) this.#anchors.set(name, node);
    return node;
  }

  #remember(event: ScalarEvent, node: ScalarNode): ScalarNode {
    if (event.anchorStart >= 0) this.#anchors.set(this.#text.slice(event.anchorStart, event.anchorEnd), node);
    return node;
  }

  /** The tag is not named, for the same reason as an alias. */
  #checkTag(event: Anchored): void {
    if (event.tagStart < 0 || HARMLESS_TAGS.has(this.#text.slice(event.tagStart, event.tagEnd))) return;
    this.#report(
      this.#at(event.tagStart),
      'this YAML tag has no meaning here (text that begins with "!" needs quotes)',
    );
  }

  #reportDuplicate(offset: number, key: string): void {
    if (this.#duplicates.length < MAX_KEPT) this.#duplicates.push({ offset, key });
  }

  #reportOddValue(value: YamlNode, key: string): void {
    this.#report(value.offset, `the value of "${key}" must be ${this.#bulkValue}, this is ${describeNode(value)}`);
  }
}

interface TableBelow extends LiftedTable {
  /** Where its key ends. */
  readonly headEnd: number;
}

interface Anchored {
  readonly anchorStart: number;
  readonly anchorEnd: number;
  readonly tagStart: number;
  readonly tagEnd: number;
}

const isMergeKey = (key: ScalarNode): boolean => key.isPlain && key.text === "<<";
