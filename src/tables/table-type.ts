import * as v from "valibot";
import { section } from "../core/option-schema.ts";
import type { OptionSchema, SectionEntries, SectionOutput } from "../core/option-schema.ts";
import { entriesForKind, explainMissing } from "./options.ts";
import type { CommonOptions, TableKind } from "./options.ts";
import type { Source, SourceContext } from "./source.ts";

/**
 * One kind of table. Options are checked in the loader's worker and opened in the thread that asks the table,
 * so what lies between must survive structured cloning.
 */
export interface TableTypeParts<Entries extends SectionEntries, Options> {
  readonly description: string;
  readonly kind: TableKind;
  /** A reload goes on with the open source where its settings did not change. Remote ones always do. */
  readonly outlivesReload?: boolean;
  /** The keys of its own, beside `type` and those that its kind has. */
  readonly entries: Entries;
  /** What is wrong with keys that are right one by one. */
  readonly faultOf?: (section: SectionOutput<Entries>) => string | undefined;
  readonly toOptions: (section: SectionOutput<Entries>) => Options;
  readonly open: (options: Options, context: SourceContext) => Source;
}

/** A type with its section and options hidden: both go only from its own functions into its own functions. */
export interface TableType {
  readonly description: string;
  readonly kind: TableKind;
  readonly outlivesReload: boolean;
  readonly schema: OptionSchema<unknown>;
  /** See `Variant`. */
  readonly own: readonly string[];
  readonly shared: string;
  readonly toSettings: (section: unknown) => { readonly options: unknown; readonly common: CommonOptions };
  readonly open: (options: unknown, context: SourceContext) => Source;
}

export function defineType<const Entries extends SectionEntries, Options>(
  parts: TableTypeParts<Entries, Options>,
): TableType {
  const common = entriesForKind(parts.kind);
  const schema = section<SectionEntries>({ ...parts.entries, ...common.entries }, (key) =>
    explainMissing(key, parts.kind),
  );
  const { faultOf } = parts;
  return {
    description: parts.description,
    kind: parts.kind,
    outlivesReload: parts.outlivesReload ?? parts.kind === "remote",
    schema: faultOf === undefined ? schema : checked(schema, (given) => faultOf(given as SectionOutput<Entries>)),
    own: Object.keys(parts.entries),
    shared: common.title,
    toSettings: (given) => ({
      options: parts.toOptions(given as SectionOutput<Entries>),
      common: common.toOptions(given as Readonly<Record<string, unknown>>),
    }),
    open: (options, context) => parts.open(options as Options, context),
  };
}

function checked<Value>(
  schema: OptionSchema<Value>,
  faultOf: (value: Value) => string | undefined,
): OptionSchema<Value> {
  return v.pipe(
    schema,
    v.rawCheck(({ dataset, addIssue }) => {
      const message = dataset.typed ? faultOf(dataset.value) : undefined;
      if (message !== undefined) addIssue({ message });
    }),
  );
}
