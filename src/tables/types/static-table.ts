import * as v from "valibot";
import { describeRaw, required, scalarShape } from "../../core/option-schema.ts";
import type { OptionSchema } from "../../core/option-schema.ts";
import { PackedTableBuilder } from "../../packed/packed-table-builder.ts";
import { openPackedSource } from "../packed-source.ts";
import { defineType } from "../table-type.ts";

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

/** Found by exactly the key that stands there. */
export const STATIC = defineType({
  description: "Entries that stand in the configuration file itself.",
  kind: "memory",
  entries: {
    entries: required(entries, {
      description:
        "Each key with its value. For the router: each user with a backend's name, `hold` (450 4.2.1) or `refuse` (550 5.7.1).",
      example: "{ user1: old, user2: new, user3: hold, user4: refuse }",
    }),
  },
  toOptions: (section): StaticTableOptions => ({ packed: section.entries.finish() }),
  open: ({ packed }) => openPackedSource(packed),
});
