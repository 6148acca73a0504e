import type { OptionSchema } from "../core/option-schema.ts";
import { openStaticTable, staticTableSchema } from "./static-table.ts";
import type { Table } from "./table.ts";

/**
 * One kind of table. Options are checked in the loader's worker and opened in the thread that asks the table,
 * so what lies between must survive structured cloning.
 */
export interface TableType<Section, Options> {
  readonly description: string;
  /** The keys beside `type`. */
  readonly schema: OptionSchema<Section>;
  readonly toOptions: (section: Section) => Options;
  readonly open: (name: string, options: Options) => Table;
}

const STATIC = defineType({
  description: "Users that stand in the configuration file itself.",
  schema: staticTableSchema,
  toOptions: ({ entries }) => ({ packed: entries.finish() }),
  open: openStaticTable,
});

/** The one list of table types, by the word in `type:`. */
export const TABLE_TYPES: ReadonlyMap<string, AnyTableType> = new Map([["static", STATIC]]);

/** A type with its section and options hidden: both go only from its own functions into its own functions. */
export interface AnyTableType {
  readonly description: string;
  readonly schema: OptionSchema<unknown>;
  readonly toOptions: (section: unknown) => unknown;
  readonly open: (name: string, options: unknown) => Table;
}

function defineType<Section, Options>(type: TableType<Section, Options>): AnyTableType {
  return {
    description: type.description,
    schema: type.schema,
    toOptions: (section) => type.toOptions(section as Section),
    open: (name, options) => type.open(name, options as Options),
  };
}
