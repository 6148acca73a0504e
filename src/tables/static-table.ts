import * as v from "valibot";
import { describeRaw, required, section, scalarShape } from "../core/option-schema.ts";
import type { OptionSchema } from "../core/option-schema.ts";
import { PackedTableBuilder } from "./packed-table-builder.ts";
import { openPacked } from "./packed-table.ts";
import { ABSENT } from "./table.ts";
import type { Answer, Table } from "./table.ts";

export interface StaticTableOptions {
  /** As `openPacked` takes it. */
  readonly packed: SharedArrayBuffer;
}

/** A mapping of names, which the loader hands over packed already; `entries:` with nothing behind it is empty. */
const entries: OptionSchema<PackedTableBuilder> = v.pipe(
  v.unknown(),
  scalarShape("a mapping of key to value"),
  v.rawTransform(({ dataset, addIssue, NEVER }): PackedTableBuilder => {
    const raw: unknown = dataset.value;
    if (raw instanceof PackedTableBuilder) return raw;
    if (raw === null) return new PackedTableBuilder();
    addIssue({ message: `expected a mapping of key to value, got ${describeRaw(raw)}` });
    return NEVER;
  }),
);

export const staticTableSchema = section({
  entries: required(entries, {
    description: "Each user with a backend's name, `hold` (450 4.2.1) or `refuse` (550 5.7.1).",
    example: "{ user1: old, user2: new, user3: hold, user4: refuse }",
  }),
});

/** A table that lies in the configuration file. Answers exactly the key it is given. */
export function openStaticTable(name: string, { packed }: StaticTableOptions): Table {
  const table = openPacked(packed);
  return {
    name,
    entryCount: table.keyCount,
    lookup(key): Answer {
      const value = table.find(key);
      return value === undefined ? ABSENT : { kind: "found", value };
    },
  };
}
