import type { Change, WriteOutcome } from "../table.ts";
import type { SqlQueries } from "./queries.ts";
import type { Statement } from "./query.ts";
import { keyInputs, textParameter } from "./values.ts";
import type { SqlInputs } from "./values.ts";

/** One change as its query takes it. */
export interface SqlChange {
  readonly change: Change;
  readonly statement: Statement;
  readonly inputs: SqlInputs;
}

/** @returns the reason where there is no query for one of them */
export function prepareChanges(changes: readonly Change[], queries: SqlQueries): readonly SqlChange[] | string {
  const prepared: SqlChange[] = [];
  for (const change of changes) {
    const statement = queries[change.kind];
    if (statement === undefined) return `the table has no query "${change.kind}"`;
    const inputs = inputsOf(change);
    if (typeof inputs.expire_seconds === "bigint" && !statement.parameters.includes("expire_seconds"))
      return `the query "set" has no :expire_seconds: what it writes would never expire`;
    prepared.push({ change, statement, inputs });
  }
  return prepared;
}

function inputsOf(change: Change): SqlInputs {
  const inputs = keyInputs(change.key);
  switch (change.kind) {
    case "set":
      return { ...inputs, value: textParameter(change.value), expire_seconds: toSeconds(change.expireSeconds) };
    case "unset":
      return inputs;
    case "increment":
      return { ...inputs, by: change.by };
  }
}

const toSeconds = (seconds: number | undefined): bigint | null =>
  seconds === undefined ? null : BigInt(Math.ceil(seconds));

/**
 * What a query that wrote no row means: the transaction ends with that.
 * @param count rows written, or undefined where nobody knows
 */
export function endingOf({ kind }: Change, count: number | undefined): WriteOutcome | undefined {
  if (count !== 0) return undefined;
  switch (kind) {
    case "set":
      return { kind: "failed", reason: 'the query "set" wrote no row' };
    case "unset":
      return undefined;
    case "increment":
      return { kind: "absent" };
  }
}
