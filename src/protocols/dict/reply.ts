import { unreachable } from "../../core/unreachable.ts";
import { escapeField, joinValues } from "../../wire/tab-fields.ts";
import { plainReason } from "../../wire/text-reason.ts";
import { encodeText, encodeTextAsLatin1 } from "../../wire/text.ts";
import { type DictRow, type IterateFlags } from "./iteration.ts";

/** What a table answers, in the shape it does. */
export type DictAnswer =
  /** `values`: the results one by one, where there are several, which `value` holds joined. */
  | { readonly kind: "found"; readonly value: string; readonly values?: readonly string[] }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

/** What became of a commit, in the shape tables answer. */
export type CommitOutcome =
  | { readonly kind: "done" }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "uncertain"; readonly reason: string };

const NOT_FOUND = "N\n";

/** After the rows of an iteration that succeeded, and instead of rows that there are none of. */
export const ITERATION_END: Buffer = Buffer.from("\n");

/**
 * One character a byte.
 * @param takesSeveralValues whether the client knows `M`
 */
export function encodeLookupReply(answer: DictAnswer, takesSeveralValues: boolean): string {
  switch (answer.kind) {
    case "found": {
      const { value, values } = answer;
      if (takesSeveralValues && values !== undefined && values.length > 1)
        return encodeTextAsLatin1(`M${joinValues(values)}\n`);
      return encodeTextAsLatin1(`O${escapeField(value)}\n`);
    }
    case "absent":
      return NOT_FOUND;
    case "failed":
      return encodeTextAsLatin1(failureText(answer.reason));
    default:
      return unreachable(answer);
  }
}

/** Rows of an iteration, with their whole keys: another beginning than the path's crashes Dovecot's auth (2.3). */
export function encodeRows(rows: readonly DictRow[], flags: Pick<IterateFlags, "omitsValues">): Buffer {
  let lines = "";
  for (const { key, value } of rows)
    lines += `O${escapeField(key)}\t${flags.omitsValues ? "" : escapeField(value ?? "")}\n`;
  return encodeText(lines);
}

/** Ends an iteration, in place of ITERATION_END. */
export function encodeIterationFailure(reason: string): Buffer {
  return encodeText(failureText(reason));
}

/**
 * One character a byte.
 * @param isAsync whether it answers COMMIT_ASYNC
 */
export function encodeCommitReply(id: number, isAsync: boolean, outcome: CommitOutcome): string {
  const start = isAsync ? "A" : "";
  switch (outcome.kind) {
    case "done":
      return `${start}O${id}\n`;
    case "absent":
      return `${start}N${id}\n`;
    case "failed":
      return encodeTextAsLatin1(`${start}F${id}\t${plainReason(outcome.reason)}\n`);
    case "uncertain":
      return encodeTextAsLatin1(`${start}W${id}\t${plainReason(outcome.reason)}\n`);
    default:
      return unreachable(outcome);
  }
}

/** A plain reason holds nothing that a field would have to escape. */
function failureText(reason: string): string {
  return `F${plainReason(reason)}\n`;
}
