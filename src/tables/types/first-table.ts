import { membersOption } from "../member-tables.ts";
import type { Source } from "../source.ts";
import { ABSENT } from "../table.ts";
import type { Answer, Table } from "../table.ts";
import { defineType } from "../table-type.ts";

export interface FirstTableOptions {
  readonly tables: readonly string[];
}

/** A failure ends the search: the table that failed might have had it. */
export const FIRST = defineType({
  description:
    "The first of several tables that has the key. Where one of them fails, the lookup has failed: those after it are not asked.",
  kind: "composite",
  entries: { tables: membersOption(1, "Names of tables, in the order in which they are asked.") },
  toOptions: ({ tables }): FirstTableOptions => ({ tables }),
  open: ({ tables }, { tableNamed }) => openFirst(tables.map(tableNamed)),
});

function openFirst(members: readonly Table[]): Source {
  function askFrom(first: number, key: string): Answer | Promise<Answer> {
    for (const [at, member] of members.entries()) {
      if (at < first) continue;
      const answer = member.lookup(key);
      if (answer instanceof Promise)
        return answer.then((late) => (late.kind === "absent" ? askFrom(at + 1, key) : late));
      if (answer.kind !== "absent") return answer;
    }
    return ABSENT;
  }
  return { lookup: (key) => askFrom(0, key) };
}
