import type { BerWriter, Filter } from "ldapts";
import { encodeText } from "../../wire/text.ts";
import type { FilterTemplate, FilterWord, ValueParts } from "./filter.ts";

export type FilterInputs = Readonly<Record<FilterWord, string>>;

/** A key without `@` is its own local part and its own domain, as in templates of values. */
export function filterInputs(key: string): FilterInputs {
  const at = key.lastIndexOf("@");
  return { key, localpart: at === -1 ? key : key.slice(0, at), domain: key.slice(at + 1) };
}

/**
 * The filter without comparisons in which a word would be nothing: they are Undefined, as RFC 4511, 4.5.1.7 calls it, and
 * `(mail=*{localpart}*)` must not match everybody.
 * @returns undefined where nothing is left, so that no entry can match
 */
export function prune(filter: FilterTemplate, inputs: FilterInputs): FilterTemplate | undefined {
  const isWhole = (value: ValueParts | undefined): boolean =>
    value?.every((part) => "text" in part || inputs[part.word] !== "") ?? true;
  switch (filter.kind) {
    case "and": {
      const filters = filter.filters.flatMap((each) => prune(each, inputs) ?? []);
      return filters.length === filter.filters.length ? { kind: "and", filters } : undefined;
    }
    case "or": {
      const filters = filter.filters.flatMap((each) => prune(each, inputs) ?? []);
      return filters.length === 0 ? undefined : { kind: "or", filters };
    }
    case "not": {
      const inner = prune(filter.filter, inputs);
      return inner && { kind: "not", filter: inner };
    }
    case "present":
      return filter;
    case "equal":
    case "at-least":
    case "at-most":
    case "about":
    case "matching-rule":
      return isWhole(filter.value) ? filter : undefined;
    case "substrings":
      return [filter.initial, ...filter.middle, filter.final].every(isWhole) ? filter : undefined;
  }
}

/** Tags of filters. Source: RFC 4511, 4.5.1.7. */
const TAGS = {
  and: 0xa0,
  or: 0xa1,
  not: 0xa2,
  equal: 0xa3,
  substrings: 0xa4,
  "at-least": 0xa5,
  "at-most": 0xa6,
  present: 0x87,
  about: 0xa8,
  "matching-rule": 0xa9,
} as const;
const OCTET_STRING = 0x04;

/** The library's own filters hold text alone, and its parser takes `\c3\a9` for two characters. */
export function fillFilter(template: FilterTemplate, inputs: FilterInputs): Filter {
  const filter = {
    type: TAGS[template.kind],
    write: (writer: BerWriter) => writeFilter(writer, template, inputs),
    // For the library's debug log, which it prepares whether or not anybody reads it.
    toJSON: () => "",
  };
  return filter as unknown as Filter;
}

function writeFilter(writer: BerWriter, filter: FilterTemplate, inputs: FilterInputs): void {
  const write = (value: ValueParts | undefined, tag: number): void => {
    if (value !== undefined) writer.writeBuffer(fill(value, inputs), tag);
  };
  if (filter.kind === "present") {
    writer.writeBuffer(Buffer.from(filter.attribute), TAGS.present);
    return;
  }
  writer.startSequence(TAGS[filter.kind]);
  switch (filter.kind) {
    case "and":
    case "or":
      for (const each of filter.filters) writeFilter(writer, each, inputs);
      break;
    case "not":
      writeFilter(writer, filter.filter, inputs);
      break;
    case "equal":
    case "at-least":
    case "at-most":
    case "about":
      writer.writeString(filter.attribute);
      write(filter.value, OCTET_STRING);
      break;
    case "substrings":
      writer.writeString(filter.attribute);
      writer.startSequence();
      write(filter.initial, 0x80);
      for (const piece of filter.middle) write(piece, 0x81);
      write(filter.final, 0x82);
      writer.endSequence();
      break;
    case "matching-rule":
      if (filter.rule !== undefined) writer.writeString(filter.rule, 0x81);
      if (filter.attribute !== undefined) writer.writeString(filter.attribute, 0x82);
      write(filter.value, 0x83);
      if (filter.isInName) writer.writeBoolean(true, 0x84);
      break;
  }
  writer.endSequence();
}

const fill = (value: ValueParts, inputs: FilterInputs): Buffer =>
  encodeText(value.map((part) => ("text" in part ? part.text : inputs[part.word])).join(""));
