import * as v from "valibot";
import { list, required } from "../core/option-schema.ts";
import type { OptionSchema } from "../core/option-schema.ts";
import { text } from "../core/option-values.ts";
import type { Answer } from "./table.ts";

/** Results of one lookup in a table that is made of others, at most: Postfix's virtual_alias_expansion_limit. */
export const MAX_RESULTS = 1_000;

export const TOO_MANY_RESULTS: Answer = {
  kind: "failed",
  reason: `there are more than ${MAX_RESULTS} results`,
};

/** The option of a table that is made of others. */
export function membersOption(min: 1 | 2, description: string): OptionSchema<readonly string[]> {
  const names = list(text("a table's name"), "[aliases, users]");
  const wanted = min === 1 ? "there must be one table at least" : "there must be two tables at least";
  return required(
    v.pipe(
      names,
      v.check((given) => given.length >= min, wanted),
    ),
    { description, example: "[users, example_file]" },
  );
}

/** Waits only where there is something to wait for. */
export function whenAll(
  answers: readonly (Answer | Promise<Answer>)[],
  join: (answers: readonly Answer[]) => Answer | Promise<Answer>,
): Answer | Promise<Answer> {
  return answers.some((answer) => answer instanceof Promise)
    ? Promise.all(answers.map(async (answer) => answer)).then(join)
    : join(answers as readonly Answer[]);
}

/** The results of a found answer, one by one. */
export const resultsOf = (answer: Answer): readonly string[] =>
  answer.kind === "found" ? (answer.values ?? [answer.value]) : [];
