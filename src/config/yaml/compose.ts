import { COLLECTION_STYLE, EVENT_ID, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException } from "js-yaml";
import type { Event, MappingEvent, ScalarEvent } from "js-yaml";
import { BulkBuilder } from "./bulk.ts";
import { liftTables } from "./lift.ts";
import type { LiftedText } from "./lift.ts";
import { describeNode, isEmptyNode } from "./node.ts";
import type { MappingEntry, MappingNode, ScalarNode, YamlNode } from "./node.ts";

export interface ComposeFault {
  readonly offset: number;
  readonly message: string;
}

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

/** Deepest nesting of collections. No option of ours lies deeper than five. */
const MAX_DEPTH = 32;
/** Entries copied by `<<` in one file, at most: `<<` of `<<` multiplies. */
const MAX_MERGED_ENTRIES = 1_000_000;
/** Faults of one kind kept, at most. */
const MAX_KEPT = 100_000;

/** The tags that change nothing, because every scalar is kept as its text anyway. */
const HARMLESS_TAGS: ReadonlySet<string> = new Set(["!", "!!str", "!!int", "!!float", "!!bool", "!!map", "!!seq"]);

/**
 * @param minLiftedLines from how many lines on a table is read by hand: see `liftTables`
 * @throws never: what is wrong with the text stands in `faults`
 */
export function composeYaml(text: string, isBulk: IsBulk, minLiftedLines?: number): Composed {
  const lifted = liftTables(text, minLiftedLines);
  const composed = composeLifted(lifted, isBulk);
  return composed ?? composeLifted(wholeText(text), isBulk) ?? { root: undefined, faults: [], duplicates: [] };
}

const wholeText = (text: string): LiftedText => ({ text, runs: new Map(), original: (offset) => offset });

/** Undefined if a run was cut out where the parser sees no table: then the text must be parsed whole. */
function composeLifted(lifted: LiftedText, isBulk: IsBulk): Composed | undefined {
  let events: Event[];
  try {
    events = parseEvents(lifted.text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    if (lifted.runs.size > 0) return undefined;
    return { root: undefined, faults: [describeSyntaxError(lifted.text, error)], duplicates: [] };
  }
  return new Composer(lifted, events, isBulk).compose();
}

/** The parser's words for what an administrator sees otherwise. */
const CLEARER: ReadonlyMap<string, string> = new Map([
  ["deficient indentation", "this line is not indented enough, or a bracket or quote above it is not closed"],
]);

function describeSyntaxError(text: string, error: YAMLException): ComposeFault {
  const offset = error.mark?.position ?? 0;
  const isTab = /^[^\S\r\n]*\t/.test(text.slice(text.lastIndexOf("\n", Math.max(offset - 1, 0)) + 1, offset + 1));
  if (error.reason.startsWith("null byte")) return { offset, message: "a NUL byte: this is not a text file" };
  if (isTab) return { offset, message: `YAML takes no tabs for indentation (${error.reason})` };
  return { offset, message: `not valid YAML: ${CLEARER.get(error.reason) ?? error.reason}` };
}

class Composer {
  readonly #text: string;
  readonly #lifted: LiftedText;
  readonly #events: readonly Event[];
  readonly #isBulk: IsBulk;
  readonly #anchors = new Map<string, YamlNode | "open">();
  readonly #faults: ComposeFault[] = [];
  readonly #duplicates: DuplicateKey[] = [];
  readonly #path: string[] = [];
  /** What stands for them, so that nobody reports them again. */
  readonly #badAliases = new Set<YamlNode>();
  #index = 0;
  #usedRuns = 0;
  #mergedEntries = 0;
  /** End of the last thing read, in the whole text: where an empty scalar stands. */
  #lastEnd = 0;

  constructor(lifted: LiftedText, events: readonly Event[], isBulk: IsBulk) {
    this.#text = lifted.text;
    this.#lifted = lifted;
    this.#events = events;
    this.#isBulk = isBulk;
  }

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
    if (this.#usedRuns !== this.#lifted.runs.size) return undefined;
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
      this.#merge(merge.from, merge.offset, (name, entry) => {
        if (!entries.has(name)) entries.set(name, entry);
      });
    return { kind: "mapping", offset: this.#at(start), entries };
  }

  /** A value, or the lines that were cut out from below its key. */
  #readValue(key: Event | undefined, isInBlock: boolean): YamlNode {
    const value = this.#readNode();
    const run = key?.type === EVENT_ID.SCALAR ? this.#lifted.runs.get(key.valueStart) : undefined;
    if (run === undefined || !isInBlock || !isEmptyNode(value) || !this.#isBulk(this.#path)) return value;
    this.#usedRuns++;
    this.#lastEnd = run.lastEnd;
    for (const { offset, key: name } of run.duplicates) this.#reportDuplicate(offset, name);
    return run.node;
  }

  #readBulk({ start }: MappingEvent): YamlNode {
    const bulk = new BulkBuilder(this.#at(start));
    const merges: { readonly from: YamlNode; readonly offset: number }[] = [];
    while (this.#events[this.#index]?.type !== EVENT_ID.POP) {
      const key = this.#readKey();
      if (key === undefined) continue;
      const value = this.#readNode();
      if (isMergeKey(key)) merges.push({ from: value, offset: key.offset });
      else if (value.kind !== "scalar") this.#reportOddValue(value, key.text);
      else if (!bulk.set(key.text, value.text, value.offset)) this.#reportDuplicate(key.offset, key.text);
    }
    this.#index++;
    for (const merge of merges.reverse())
      this.#merge(merge.from, merge.offset, (name, { value }) => {
        if (value.kind === "scalar") bulk.addMissing(name, value.text, value.offset);
        else this.#reportOddValue(value, name);
      });
    return bulk.finish();
  }

  /** The next key; undefined after a fault, with its value skipped. */
  #readKey(): ScalarNode | undefined {
    const key = this.#readNode();
    if (key.kind === "scalar") return key;
    this.#report(key.offset, `a key must be text, this is ${describeNode(key)}`);
    this.#readNode();
    return undefined;
  }

  #merge(from: YamlNode, offset: number, add: (name: string, entry: MappingEntry) => void): void {
    if (from.kind === "sequence") {
      for (const item of from.items) {
        if (item.kind === "sequence") this.#report(offset, '"<<" takes a mapping or a list of mappings');
        else this.#merge(item, offset, add);
      }
    } else if (from.kind === "mapping") {
      if (!this.#mayMerge(from.entries.size, offset)) return;
      for (const [name, entry] of from.entries) add(name, entry);
    } else if (from.kind === "bulk") {
      const { table, valueOffsets } = from;
      if (!this.#mayMerge(table.keyCount, offset)) return;
      for (let entry = 0; entry < table.keyCount; entry++)
        add(table.keyAt(entry), makeEntry(table.valueAt(entry), valueOffsets.at(entry)));
    } else if (!this.#badAliases.has(from))
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
    this.#badAliases.add(nothing);
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
    this.#report(value.offset, `the value of "${key}" must be one name, this is ${describeNode(value)}`);
  }
}

interface Anchored {
  readonly anchorStart: number;
  readonly anchorEnd: number;
  readonly tagStart: number;
  readonly tagEnd: number;
}

const isMergeKey = (key: ScalarNode): boolean => key.isPlain && key.text === "<<";

const makeEntry = (text: string, offset: number): MappingEntry => ({
  keyOffset: offset,
  value: { kind: "scalar", text, offset, endOffset: offset + text.length, isPlain: true },
});
