import { didYouMean } from "../../core/closest-name.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { decodeText } from "../../wire/text.ts";

/** What may stand in braces, in values alone. */
export const FILTER_WORDS = ["key", "localpart", "domain"] as const;
export type FilterWord = (typeof FILTER_WORDS)[number];

/** A value of which parts are put in for each lookup. */
export type ValueParts = readonly ({ readonly text: string } | { readonly word: FilterWord })[];

/** A filter of RFC 4515. Parts of keys are put into its leaves, so that nothing in a key can become a part of it. */
export type FilterTemplate =
  | { readonly kind: "and" | "or"; readonly filters: readonly FilterTemplate[] }
  | { readonly kind: "not"; readonly filter: FilterTemplate }
  | { readonly kind: "present"; readonly attribute: string }
  | {
      readonly kind: "equal" | "at-least" | "at-most" | "about";
      readonly attribute: string;
      readonly value: ValueParts;
    }
  | {
      readonly kind: "substrings";
      readonly attribute: string;
      /** Undefined where a star stands first, or last. */
      readonly initial: ValueParts | undefined;
      readonly middle: readonly ValueParts[];
      readonly final: ValueParts | undefined;
    }
  | {
      readonly kind: "matching-rule";
      readonly attribute: string | undefined;
      readonly rule: string | undefined;
      readonly isInName: boolean;
      readonly value: ValueParts;
    };

/** Far deeper than anybody writes; each level is a call. */
const MAX_DEPTH = 100;

/** Name or number, with options. Source: RFC 4512, 2.5. */
const ATTRIBUTE = String.raw`(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*`;
const COMPARISON = new RegExp(`^(${ATTRIBUTE})\\s*(=|>=|<=|~=)([^]*)$`);
const MATCHING_RULE = new RegExp(`^(${ATTRIBUTE})?(:dn)?(?::(${ATTRIBUTE}))?:=([^]*)$`, "i");

export const isAttribute = (text: string): boolean => new RegExp(`^${ATTRIBUTE}$`).test(text);

export function parseFilter(text: string): Parsed<FilterTemplate> {
  const reader = new FilterReader(text.trim());
  try {
    const filter = reader.readFilter(0);
    reader.expectEnd();
    return reader.hasWord ? ok(filter) : bad("{key}, {localpart} or {domain} must stand in the filter");
  } catch (error) {
    if (error instanceof FilterFault) return bad(error.message);
    throw error;
  }
}

/** Only within this file: what is wrong with the text. */
class FilterFault extends Error {
  override readonly name = "FilterFault";
}

class FilterReader {
  readonly #text: string;
  #at = 0;
  hasWord = false;

  constructor(text: string) {
    this.#text = text;
  }

  readFilter(depth: number): FilterTemplate {
    if (depth > MAX_DEPTH) throw new FilterFault("it is nested too deeply");
    this.#skipBlanks();
    if (this.#next() !== "(")
      throw new FilterFault(`a filter stands in parentheses, such as "(mail={key})"${this.#here()}`);
    this.#at += 1;
    this.#skipBlanks();
    const filter = this.#readInside(depth);
    this.#skipBlanks();
    if (this.#next() !== ")") throw new FilterFault(`a ")" is missing${this.#here()}`);
    this.#at += 1;
    return filter;
  }

  expectEnd(): void {
    this.#skipBlanks();
    if (this.#at < this.#text.length) throw new FilterFault(`there must be nothing behind the filter${this.#here()}`);
  }

  #readInside(depth: number): FilterTemplate {
    switch (this.#next()) {
      case "&":
      case "|": {
        const kind = this.#next() === "&" ? "and" : "or";
        this.#at += 1;
        const filters: FilterTemplate[] = [];
        for (this.#skipBlanks(); this.#next() === "("; this.#skipBlanks()) filters.push(this.readFilter(depth + 1));
        if (filters.length === 0) throw new FilterFault(`there is nothing to combine${this.#here()}`);
        return { kind, filters };
      }
      case "!":
        this.#at += 1;
        return { kind: "not", filter: this.readFilter(depth + 1) };
      default:
        return this.#readItem();
    }
  }

  #readItem(): FilterTemplate {
    const from = this.#at;
    const end = this.#text.slice(from).search(/[()]/);
    this.#at = end === -1 ? this.#text.length : from + end;
    const item = this.#text.slice(from, this.#at);
    const rule = MATCHING_RULE.exec(item);
    if (rule !== null) {
      const [, attribute, inName, ruleName, value = ""] = rule;
      if (attribute === undefined && ruleName === undefined)
        throw new FilterFault(`a matching rule or an attribute must stand before ":=" in "${item}"`);
      return {
        kind: "matching-rule",
        attribute,
        rule: ruleName,
        isInName: inName !== undefined,
        value: this.#value(value),
      };
    }
    const comparison = COMPARISON.exec(item);
    if (comparison === null) throw new FilterFault(`expected a comparison such as "mail={key}", got "${item}"`);
    const [, attribute = "", operator = "", value = ""] = comparison;
    return this.#compare(attribute, operator, value);
  }

  #compare(attribute: string, operator: string, value: string): FilterTemplate {
    const pieces = value.split("*");
    switch (operator) {
      case ">=":
        return { kind: "at-least", attribute, value: this.#value(value) };
      case "<=":
        return { kind: "at-most", attribute, value: this.#value(value) };
      case "~=":
        return { kind: "about", attribute, value: this.#value(value) };
      default:
        if (value === "*") return { kind: "present", attribute };
        return pieces.length === 1
          ? { kind: "equal", attribute, value: this.#value(value) }
          : this.#substrings(attribute, pieces);
    }
  }

  #substrings(attribute: string, pieces: readonly string[]): FilterTemplate {
    const valueOf = (piece: string | undefined): ValueParts | undefined =>
      piece === undefined || piece === "" ? undefined : this.#value(piece);
    const middle = pieces.slice(1, -1).map((piece) => {
      if (piece === "") throw new FilterFault(`two stars must not stand side by side in a value of ${attribute}`);
      return this.#value(piece);
    });
    return { kind: "substrings", attribute, initial: valueOf(pieces[0]), middle, final: valueOf(pieces.at(-1)) };
  }

  #value(text: string): ValueParts {
    if (text.includes("*")) throw new FilterFault(`a star only stands behind "=": write \\2a for one in "${text}"`);
    const parts: ValueParts[number][] = [];
    // Split by a pattern with a group: what it matches stands at the odd places.
    for (const [at, piece] of text.split(/\{([^{}]*)\}/).entries()) {
      if (at % 2 === 1) parts.push({ word: this.#word(piece) });
      else if (piece !== "") parts.push({ text: unescape(piece) });
    }
    return parts;
  }

  #word(given: string): FilterWord {
    const word = FILTER_WORDS.find((candidate) => candidate === given);
    if (word === undefined)
      throw new FilterFault(
        `there is no "{${given}}": known are {key}, {localpart} and {domain}${didYouMean(given, FILTER_WORDS)}`,
      );
    this.hasWord = true;
    return word;
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#next())) this.#at += 1;
  }

  #next(): string {
    return this.#text.charAt(this.#at);
  }

  #here(): string {
    const rest = this.#text.slice(this.#at);
    if (rest === "") return ", at the end";
    return `, at "${rest.length > 20 ? `${rest.slice(0, 20)}…` : rest}"`;
  }
}

/** `\2a` is the byte 0x2a; several may make one character. */
function unescape(text: string): string {
  const wrong = /\\(?![0-9A-Fa-f]{2}).{0,2}/s.exec(text);
  if (wrong !== null) throw new FilterFault(`a backslash wants two hexadecimal digits, such as \\2a: "${wrong[0]}"`);
  return text.replaceAll(/(?:\\[0-9A-Fa-f]{2})+/g, (escaped) =>
    decodeText(Buffer.from(escaped.replaceAll("\\", ""), "hex")),
  );
}
