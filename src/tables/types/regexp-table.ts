import * as v from "valibot";
import { describeRaw, list, optional, required, scalarShape, section, withDefault } from "../../core/option-schema.ts";
import type { OptionSchema } from "../../core/option-schema.ts";
import { choice, text } from "../../core/option-values.ts";
import type { Source } from "../source.ts";
import { ABSENT } from "../table.ts";
import type { Answer } from "../table.ts";
import { defineType } from "../table-type.ts";
import { compilePattern, parsePostfixLine } from "./regexp-pattern.ts";
import type { PatternText } from "./regexp-pattern.ts";

export interface RegexpTableOptions {
  readonly patterns: readonly PatternText[];
}

/** Longest key that is matched, in UTF-16 units: twice the longest line that Postfix takes from a peer (line_length_limit). */
const MAX_KEY_LENGTH = 4_096;

const CASES = ["fold", "exact"] as const;

const mappingSchema = section({
  match: required(text("a regular expression"), { description: "What is looked for in the key." }),
  value: required(text(), { description: "What is answered." }),
  case: optional(choice(CASES), { description: "In place of what the table says." }),
});

/** A pattern as it stands in the file; `case` is undefined where the table's counts. */
interface PatternOption extends Omit<PatternText, "ignoresCase"> {
  readonly case: (typeof CASES)[number] | undefined;
}

const patternSchema: OptionSchema<PatternOption> = v.pipe(
  v.unknown(),
  scalarShape("a mapping of match and value"),
  v.rawTransform(({ dataset, addIssue, NEVER }): PatternOption => {
    const raw: unknown = dataset.value;
    if (typeof raw === "string") {
      const line = parsePostfixLine(raw);
      const compiled = line.kind === "bad" ? line : compilePattern(line.value);
      if (line.kind === "ok" && compiled.kind === "ok")
        return { ...line.value, case: line.value.ignoresCase ? "fold" : "exact" };
      if (compiled.kind === "bad") addIssue({ message: compiled.reason });
      return NEVER;
    }
    if (!(raw instanceof Map)) {
      addIssue({ message: `expected a mapping of match and value, got ${describeRaw(raw)}` });
      return NEVER;
    }
    const result = v.safeParse(mappingSchema, raw);
    for (const { message, path } of result.issues ?? []) addIssue({ message, ...(path && { path }) });
    if (!result.success) return NEVER;
    const option: PatternOption = { ...result.output, isMultiline: false, isNegated: false };
    const compiled = compilePattern({ ...option, ignoresCase: true });
    if (compiled.kind === "ok") return option;
    const { part: key, reason: message } = compiled;
    addIssue({ message, path: [{ type: "unknown", origin: "value", input: raw, key, value: raw.get(key) }] });
    return NEVER;
  }),
);

/** The first pattern that matches answers. */
export const REGEXP = defineType({
  description:
    "Patterns, asked in order; the first that matches the key answers. For what Postfix has in regexp: and pcre: tables.",
  kind: "memory",
  entries: {
    patterns: required(list(patternSchema, String.raw`[{ match: '@old\.example$', value: new }]`), {
      description:
        "Each a mapping of `match`, `value` and, where it differs from the table's, `case`; or a line of a Postfix table, " +
        String.raw`\`/^(.*)@old\.example$/ $1@new.example\`, with \`!\` before it and \`i\` and \`m\` behind it as there. ` +
        "Syntax is that of RE2, which has no lookaheads and backreferences and cannot be slow. A pattern matches anywhere in the key unless it has `^` and `$`. " +
        "In the value `$1` or `${1}` is what the first brackets matched, `$$` a dollar sign. Write patterns between single quotes.",
      example: String.raw`[{ match: '^(.*)@old\.example$', value: "$1@new.example" }]`,
    }),
    case: withDefault(choice(CASES), "fold", {
      description: "With `fold` upper and lower case are the same, as in Postfix's tables; with `exact` they differ.",
    }),
  },
  toOptions: (given): RegexpTableOptions => ({
    patterns: given.patterns.map(({ match, value, isMultiline, isNegated, case: own }) => ({
      match,
      value,
      isMultiline,
      isNegated,
      ignoresCase: (own ?? given.case) === "fold",
    })),
  }),
  open: ({ patterns }) => openPatterns(patterns),
});

function openPatterns(texts: readonly PatternText[]): Source {
  const patterns = texts.map((given) => {
    const compiled = compilePattern(given);
    if (compiled.kind === "bad")
      throw new Error(`a pattern passed the schema and does not compile: ${compiled.reason}`);
    return compiled.pattern;
  });

  function lookup(key: string): Answer {
    if (key.length > MAX_KEY_LENGTH)
      return { kind: "failed", reason: `the key is longer than ${MAX_KEY_LENGTH} characters` };
    for (const { answer } of patterns) {
      const value = answer(key);
      if (value !== undefined) return { kind: "found", value };
    }
    return ABSENT;
  }

  return { lookup };
}
