import type { CommonOptions, TableKind } from "../../src/tables/options.ts";
import type { Source, SourceContext } from "../../src/tables/source.ts";
import type { TableSettings } from "../../src/tables/open-tables.ts";
import { defineType } from "../../src/tables/table-type.ts";
import type { TableType } from "../../src/tables/table-type.ts";
import { FIRST } from "../../src/tables/types/first-table.ts";
import { PIPE } from "../../src/tables/types/pipe-table.ts";
import { UNION } from "../../src/tables/types/union-table.ts";

export interface ScriptedOptions {
  /** What `open` knows the source by. */
  readonly id: string;
}

/** A type whose sources are the test's. */
export function scriptedType(kind: TableKind, open: (id: string, context: SourceContext) => Source): TableType {
  return defineType({
    description: "for tests",
    kind,
    entries: {},
    toOptions: (): ScriptedOptions => ({ id: "" }),
    open: ({ id }, context) => open(id, context),
  });
}

/** The composites as they are, and these. */
export const typesWith = (types: Readonly<Record<string, TableType>>): ReadonlyMap<string, TableType> =>
  new Map([["first", FIRST], ["union", UNION], ["pipe", PIPE], ...Object.entries(types)]);

const NO_OPTIONS: CommonOptions = { key: undefined, value: undefined, cache: undefined, guard: undefined };

export const scripted = (type: string, id: string, common: Partial<CommonOptions> = {}): TableSettings => ({
  type,
  options: { id } satisfies ScriptedOptions,
  common: { ...NO_OPTIONS, ...common },
});

export const composite = (
  type: "first" | "union" | "pipe",
  tables: readonly string[],
  common: Partial<CommonOptions> = {},
): TableSettings => ({ type, options: { tables }, common: { ...NO_OPTIONS, ...common } });
