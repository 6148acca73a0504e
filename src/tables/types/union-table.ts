import { MAX_RESULTS, membersOption, resultsOf, TOO_MANY_RESULTS, whenAll } from "../member-tables.ts";
import type { Source } from "../source.ts";
import { found } from "../table.ts";
import type { Answer, Table } from "../table.ts";
import { defineType } from "../table-type.ts";

export interface UnionTableOptions {
  readonly tables: readonly string[];
}

/** A failure is the whole one's: what that table has would be missing. */
export const UNION = defineType({
  description:
    "What several tables have for a key, joined by commas in the order of the tables, each result once. All are asked at the same time; " +
    "where one of them fails, the lookup has failed.",
  kind: "composite",
  entries: { tables: membersOption(1, "Names of tables.") },
  toOptions: ({ tables }): UnionTableOptions => ({ tables }),
  open: ({ tables }, { tableNamed }) => openUnion(tables.map(tableNamed)),
});

const openUnion = (members: readonly Table[]): Source => ({
  lookup: (key) =>
    whenAll(
      members.map((member) => member.lookup(key)),
      join,
    ),
});

function join(answers: readonly Answer[]): Answer {
  const failed = answers.find(({ kind }) => kind === "failed");
  if (failed !== undefined) return failed;
  const results = new Set(answers.flatMap(resultsOf));
  return results.size > MAX_RESULTS ? TOO_MANY_RESULTS : found([...results]);
}
