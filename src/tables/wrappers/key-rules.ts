import type { KeyForm, KeyRules } from "../options.ts";
import type { Answer, Table } from "../table.ts";
import { ABSENT } from "../table.ts";

/** The table as listeners and commands ask it: each form of the key until one is found; a failure ends the search. */
export function withKeyRules(table: Table, rules: KeyRules | undefined): Table {
  if (rules === undefined) return table;

  function lookup(key: string): Answer | Promise<Answer> {
    const keys = keysToAsk(key, rules as KeyRules);
    function askFrom(first: number): Answer | Promise<Answer> {
      for (let at = first; at < keys.length; at += 1) {
        const answer = table.lookup(keys[at] ?? "");
        if (answer instanceof Promise) return answer.then((late) => (late.kind === "absent" ? askFrom(at + 1) : late));
        if (answer.kind !== "absent") return answer;
      }
      return ABSENT;
    }
    return askFrom(0);
  }

  return { ...table, lookup };
}

/**
 * The keys that a table is asked for one key of a client, without repetition. As Postfix does with its own tables
 * (but not with socketmap, where it asks for the full address alone), each form goes with its extension first.
 */
export function keysToAsk(key: string, { fold, recipientDelimiter, forms }: KeyRules): readonly string[] {
  const given = fold === "all" ? key.toLowerCase() : key;
  // A domain has no quotes: then what ends with one is a local part alone, with an "@" in it perhaps.
  const at = given.endsWith('"') ? -1 : given.lastIndexOf("@");
  if (at === -1) return [given];
  const localPart = given.slice(0, at);
  const domain = fold === "none" ? given.slice(at + 1) : given.slice(at + 1).toLowerCase();
  const base = withoutExtension(localPart, recipientDelimiter);
  const localParts = base === localPart ? [localPart] : [localPart, base];
  const keys = new Set(forms.flatMap((form) => keysOfForm(form, localParts, domain)));
  // Of "@example.com" and "user@" the half that is missing is nobody's key.
  keys.delete("");
  keys.delete("@");
  return [...keys];
}

function keysOfForm(form: KeyForm, localParts: readonly string[], domain: string): readonly string[] {
  switch (form) {
    case "address":
      return localParts.map((localPart) => `${localPart}@${domain}`);
    case "localpart":
      return localParts;
    case "@domain":
      return [`@${domain}`];
    case "domain":
      return [domain];
  }
}

/** Cuts at the first delimiter that leaves something before it, as Postfix does; a quoted local part stays quoted. */
function withoutExtension(localPart: string, delimiters: string): string {
  const isQuoted = localPart.length > 1 && localPart.startsWith('"') && localPart.endsWith('"');
  const start = isQuoted ? 2 : 1;
  for (let at = start; at < localPart.length; at += 1)
    if (delimiters.includes(localPart.charAt(at))) return localPart.slice(0, at) + (isQuoted ? '"' : "");
  return localPart;
}
