import * as v from "valibot";
import { didYouMean } from "./closest-name.ts";

/**
 * The combinators of which every option's schema is made. A schema takes what a file holds: text for a scalar,
 * null for `key:` with nothing behind it, an array for a list, a Map for a mapping. One schema is the source of
 * the checks, of the reference page and of the annotated sample.
 */
export type OptionSchema<Value> = v.GenericSchema<unknown, Value>;

/** What the reference page and the sample say of an option, beside its type and its default. */
export interface OptionNotes {
  readonly description: string;
  /** A value for the sample, in the file's notation, where there is no default to show; for `named`, a name. */
  readonly example?: string;
  /** Stands in the sample as its example, though it could be left out. */
  readonly isInSample?: boolean;
  /** For `named`: a second entry for the sample, on one line. */
  readonly secondExample?: string;
  /** How the default reads, where it is not a constant. */
  readonly defaultText?: string;
}

/** What a schema is made of, for who writes documentation; stands in its valibot metadata. */
export type OptionShape =
  | { readonly kind: "scalar"; readonly typeText: string }
  | { readonly kind: "list"; readonly item: v.GenericSchema }
  | { readonly kind: "section"; readonly entries: SectionEntries }
  | { readonly kind: "named"; readonly nameText: string; readonly value: v.GenericSchema }
  | { readonly kind: "variant"; readonly key: string; readonly variants: Variants };

/** By the word that chooses one. */
export type Variants = ReadonlyMap<string, Variant>;

export interface Variant {
  readonly description: string;
  readonly schema: v.GenericSchema;
  /** The keys that are described with it; the others are described once for all, under `shared`. Without it: all. */
  readonly own?: readonly string[];
  /** Title of the page's section that describes the others. */
  readonly shared?: string;
}

export type SectionEntries = Readonly<Record<string, v.GenericSchema<unknown, unknown>>>;

/** The metadata keys are ours alone. */
const SHAPE_KEY = "shape";
const NOTES_KEY = "notes";

export function shapeOf(schema: v.GenericSchema): OptionShape | undefined {
  return v.getMetadata(unwrap(schema))[SHAPE_KEY] as OptionShape | undefined;
}

export function notesOf(schema: v.GenericSchema): OptionNotes | undefined {
  return v.getMetadata(unwrap(schema))[NOTES_KEY] as OptionNotes | undefined;
}

/** The default as text in the file's notation; undefined where there is none. */
export function defaultTextOf(schema: v.GenericSchema): string | undefined {
  const text = notesOf(schema)?.defaultText;
  if (text !== undefined) return text;
  if (!isOptional(schema)) return undefined;
  return typeof schema.default === "string" ? schema.default : undefined;
}

interface Optional extends v.GenericSchema {
  readonly type: "optional";
  readonly wrapped: v.GenericSchema;
  readonly default: unknown;
}

export const isOptional = (schema: v.GenericSchema): schema is Optional => schema.type === "optional";

const unwrap = (schema: v.GenericSchema): v.GenericSchema => (isOptional(schema) ? unwrap(schema.wrapped) : schema);

/** An option that must be there. */
export function required<Value>(schema: OptionSchema<Value>, notes: OptionNotes): OptionSchema<Value> {
  return v.pipe(schema, v.metadata({ [NOTES_KEY]: notes }));
}

/** @param fallback what stands for a missing option, in the file's notation */
export function withDefault<Value>(
  schema: OptionSchema<Value>,
  fallback: string | (() => unknown),
  notes: OptionNotes,
): OptionSchema<Value> {
  return v.optional(required(schema, notes), fallback) as OptionSchema<Value>;
}

export function optional<Value>(schema: OptionSchema<Value>, notes: OptionNotes): OptionSchema<Value | undefined> {
  return v.optional(required(schema, notes));
}

export type SectionOutput<Entries extends SectionEntries> = {
  readonly [Key in keyof Entries]: v.InferOutput<Entries[Key]>;
};

/**
 * A mapping with known keys. Reports everything wrong in it, not only the first.
 * @param explain why a key that somebody might write here does not stand in it
 */
export function section<const Entries extends SectionEntries>(
  entries: Entries,
  explain: (key: string) => string | undefined = () => undefined,
): OptionSchema<SectionOutput<Entries>> {
  const shape: OptionShape = { kind: "section", entries };
  return v.pipe(
    v.unknown(),
    v.metadata({ [SHAPE_KEY]: shape }),
    v.rawTransform(({ dataset, addIssue, NEVER }): SectionOutput<Entries> => {
      const input = asMapping(dataset.value);
      if (input === undefined) {
        addIssue({ message: `expected a mapping of ${listKeys(entries)}, got ${describeRaw(dataset.value)}` });
        return NEVER;
      }
      for (const key of input.keys()) {
        if (!Object.hasOwn(entries, key))
          addIssue({
            message: explain(key) ?? describeUnknownKey(key, Object.keys(entries), input),
            path: [pathItem(input, key, "key")],
          });
      }
      const output: Record<string, unknown> = {};
      for (const [key, schema] of Object.entries(entries)) {
        if (!input.has(key) && !isOptional(schema)) {
          addIssue({ message: `"${key}" is missing` });
          continue;
        }
        const result = v.safeParse(schema, input.get(key));
        if (result.success) output[key] = result.output;
        else for (const issue of result.issues) addIssue(nest(issue, pathItem(input, key, "value")));
      }
      return output as SectionOutput<Entries>;
    }),
  );
}

/** A mapping whose keys are names that the administrator chose. */
export function named<Value>(
  nameText: string,
  value: OptionSchema<Value>,
  checkName: (name: string) => string | undefined,
): OptionSchema<ReadonlyMap<string, Value>> {
  const shape: OptionShape = { kind: "named", nameText, value };
  return v.pipe(
    v.unknown(),
    v.metadata({ [SHAPE_KEY]: shape }),
    v.rawTransform(({ dataset, addIssue, NEVER }): ReadonlyMap<string, Value> => {
      const input = asMapping(dataset.value);
      if (input === undefined) {
        addIssue({ message: `expected a mapping by ${nameText}, got ${describeRaw(dataset.value)}` });
        return NEVER;
      }
      const output = new Map<string, Value>();
      for (const [name, item] of input) {
        const reason = checkName(name);
        if (reason !== undefined) addIssue({ message: reason, path: [pathItem(input, name, "key")] });
        const result = v.safeParse(value, item);
        if (result.success) output.set(name, result.output);
        else for (const issue of result.issues) addIssue(nest(issue, pathItem(input, name, "value")));
      }
      return output;
    }),
  );
}

/**
 * A mapping in which the word at `key` says which other keys there are.
 * @param noun what the word names, such as `table type`
 */
export function variant<Value>(
  key: string,
  noun: string,
  variants: Variants,
  toValue: (word: string, section: unknown) => Value,
): OptionSchema<Value> {
  const shape: OptionShape = { kind: "variant", key, variants };
  const known = [...variants.keys()];
  return v.pipe(
    v.unknown(),
    v.metadata({ [SHAPE_KEY]: shape }),
    v.rawTransform(({ dataset, addIssue, NEVER }): Value => {
      const raw: unknown = dataset.value;
      if (!(raw instanceof Map)) {
        addIssue({ message: `expected a mapping that begins with ${key}, got ${describeRaw(raw)}` });
        return NEVER;
      }
      const input = raw as ReadonlyMap<string, unknown>;
      const word = input.get(key);
      if (typeof word !== "string") {
        addIssue({
          message: input.has(key) ? `"${key}" has no value` : `"${key}" is missing: one of ${known.join(", ")}`,
        });
        return NEVER;
      }
      const chosen = variants.get(word);
      if (chosen === undefined) {
        const message = `there is no ${noun} "${word}": known are ${known.join(", ")}${didYouMean(word, known)}`;
        addIssue({ message, path: [pathItem(input, key, "value")] });
        return NEVER;
      }
      const rest = new Map(input);
      rest.delete(key);
      const result = v.safeParse(chosen.schema, rest);
      if (result.success) return toValue(word, result.output);
      for (const issue of result.issues)
        addIssue({ message: issue.message, ...(issue.path === undefined ? {} : { path: issue.path }) });
      return NEVER;
    }),
  );
}

export function list<Value>(item: OptionSchema<Value>, example: string): OptionSchema<readonly Value[]> {
  const shape: OptionShape = { kind: "list", item };
  return v.pipe(
    v.unknown(),
    v.metadata({ [SHAPE_KEY]: shape }),
    v.rawTransform(({ dataset, addIssue, NEVER }): readonly Value[] => {
      const input: unknown = dataset.value ?? [];
      if (!Array.isArray(input)) {
        addIssue({ message: `expected a list, such as ${example}, got ${describeRaw(input)}` });
        return NEVER;
      }
      const output: Value[] = [];
      for (const [index, element] of input.entries()) {
        const result = v.safeParse(item, element);
        if (result.success) output.push(result.output);
        else
          for (const issue of result.issues)
            addIssue(nest(issue, { type: "array", origin: "value", input, key: index, value: element }));
      }
      return output;
    }),
  );
}

interface NestedIssue {
  readonly message: string;
  readonly path: [v.IssuePathItem, ...v.IssuePathItem[]];
}

const nest = (issue: v.BaseIssue<unknown>, item: v.IssuePathItem): NestedIssue => ({
  message: issue.message,
  path: [item, ...(issue.path ?? [])],
});

const pathItem = (input: ReadonlyMap<string, unknown>, key: string, origin: "key" | "value"): v.IssuePathItem => ({
  type: "unknown",
  origin,
  input,
  key,
  value: input.get(key),
});

/** A section with nothing in it is written `name:`, which is null. */
function asMapping(raw: unknown): ReadonlyMap<string, unknown> | undefined {
  if (raw === null || raw === undefined) return new Map();
  return raw instanceof Map ? raw : undefined;
}

/** Rather suggests a key that is not written already. `{ password:secret }` is one key in YAML, and must not be shown. */
export function describeUnknownKey(key: string, known: readonly string[], given: ReadonlyMap<string, unknown>): string {
  const colon = key.indexOf(":");
  if (colon > 0) return `unknown key "${key.slice(0, colon)}:…" (YAML wants a blank after the colon)`;
  const unused = known.filter((name) => !given.has(name));
  const hint = didYouMean(key, unused) || didYouMean(key, known);
  const all = known.length <= MAX_LISTED ? `: known are ${known.join(", ")}` : "";
  return `unknown key "${key}"${hint || all}`;
}

/** Keys of a section that are listed where none of them is like the one that was written, at most. */
const MAX_LISTED = 4;

const listKeys = (entries: SectionEntries): string => Object.keys(entries).join(", ");

/** Never the text itself: it may be a secret. */
export function describeRaw(raw: unknown): string {
  if (raw === null || raw === undefined) return "nothing";
  if (typeof raw === "string") return "text";
  if (Array.isArray(raw)) return "a list";
  return "a mapping";
}

export function scalarShape(typeText: string): v.MetadataAction<unknown, { readonly shape: OptionShape }> {
  return v.metadata({ [SHAPE_KEY]: { kind: "scalar", typeText } satisfies OptionShape });
}
