import type { ValueRules } from "../options.ts";
import { ABSENT, found } from "../table.ts";
import type { Answer } from "../table.ts";

/** What a table's `value:` makes of an answer. */
export function applyValueRules(key: string, answer: Answer, rules: ValueRules): Answer {
  if (answer.kind !== "found") return answer;
  const results: string[] = [];
  for (const value of answer.values ?? [answer.value]) {
    const member = rules.jsonPath === undefined ? { kind: "found" as const, value } : readMember(value, rules.jsonPath);
    if (member.kind === "failed") return member;
    if (member.kind === "found")
      results.push(rules.template === undefined ? member.value : fillTemplate(rules.template, key, member.value));
  }
  return found(results);
}

/** A member that is not there may be a mistake in the configuration, which must not make users unknown. */
function readMember(text: string, path: readonly string[]): Answer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "failed", reason: `the value is not JSON, of which value.json would take ${path.join(".")}` };
  }
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      return { kind: "failed", reason: `the value has no member ${path.join(".")}, which value.json names` };
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  if (value === null) return ABSENT;
  return { kind: "found", value: typeof value === "string" ? value : JSON.stringify(value) };
}

function fillTemplate(template: string, key: string, value: string): string {
  const at = key.lastIndexOf("@");
  const words: Readonly<Record<string, string>> = {
    value,
    key,
    localpart: at === -1 ? key : key.slice(0, at),
    domain: key.slice(at + 1),
  };
  return template.replaceAll(/\{([^{}]*)\}/g, (_placeholder, word: string) => words[word] ?? "");
}
