import { MAX_RESULTS, membersOption, resultsOf, TOO_MANY_RESULTS, whenAll } from "../member-tables.ts";
import type { Source } from "../source.ts";
import { ABSENT, found } from "../table.ts";
import type { Answer, Table } from "../table.ts";
import { defineType } from "../table-type.ts";

export interface PipeTableOptions {
  readonly tables: readonly string[];
}

export const PIPE = defineType({
  description:
    "The value of one table is the key of the next one. Of several results each goes on, and what comes out is joined by commas, each result once. " +
    "Where one of them is not there the key is absent, where a table fails the lookup has failed.",
  kind: "composite",
  entries: { tables: membersOption(2, "Names of tables, the one that is asked for the key first.") },
  toOptions: ({ tables }): PipeTableOptions => ({ tables }),
  open: ({ tables }, { tableNamed }) => openPipe(tables.map(tableNamed)),
});

function openPipe(members: readonly Table[]): Source {
  function askFrom(stage: number, keys: readonly string[]): Answer | Promise<Answer> {
    const member = members[stage];
    if (member === undefined) return found(keys);
    return whenAll(
      keys.map((key) => member.lookup(key)),
      (answers) => {
        const failed = answers.find(({ kind }) => kind === "failed");
        if (failed !== undefined) return failed;
        // Going on with the others would lose this one silently.
        if (answers.some(({ kind }) => kind === "absent")) return ABSENT;
        const results = new Set(answers.flatMap(resultsOf));
        return results.size > MAX_RESULTS ? TOO_MANY_RESULTS : askFrom(stage + 1, [...results]);
      },
    );
  }
  return { lookup: (key) => askFrom(0, [key]) };
}
