import { errorText } from "../error-text.ts";
import { DONE } from "../table.ts";
import type { Change, WriteOutcome } from "../table.ts";
import { decodeText } from "../../wire/text.ts";
import type { Command, Layout } from "./commands.ts";
import { RedisRefused } from "./link.ts";
import type { RedisLink, RedisReply } from "./link.ts";

/** Transactions begun anew because somebody else changed a number meanwhile, who then had luck instead of us. */
const MAX_ATTEMPTS = 1_000;

/** What Redis counts in. */
const MAX_INTEGER = 2n ** 63n - 1n;
const MIN_INTEGER = -(2n ** 63n);

/**
 * All changes in one transaction. Redis takes nothing back once it runs one, so that whatever an increment could
 * fail at is looked at beforehand, with the keys watched.
 * Only one at a time on a connection, for there is but one set of watched keys.
 */
export async function writeAll(
  link: RedisLink,
  layout: Layout,
  changes: readonly Change[],
  signal: AbortSignal,
): Promise<WriteOutcome> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS && !signal.aborted; attempt += 1) {
    const obstacle = await lookAhead(link, layout, changes);
    if (obstacle !== undefined) return obstacle;
    if (!link.isUsable) throw new Error("the connection is lost");
    const outcome = await execute(
      link,
      changes.flatMap((change) => layout.change(change)),
    );
    if (outcome !== undefined) return outcome;
  }
  return { kind: "failed", reason: "others changed it each time" };
}

/** @returns why the transaction must not be begun; rejects where nothing was written */
async function lookAhead(
  link: RedisLink,
  layout: Layout,
  changes: readonly Change[],
): Promise<WriteOutcome | undefined> {
  const counted = [...new Set(changes.flatMap(({ kind, key }) => (kind === "increment" ? [key] : [])))];
  if (counted.length === 0) return undefined;
  const watching = link.send("WATCH", ...new Set(counted.map((key) => layout.watched(key))));
  const reading = counted.map((key) => link.send(...layout.get(key)));
  const [, ...replies] = await Promise.all([watching, ...reading]);
  const values = new Map(counted.map((key, at) => [key, textOf(replies[at])]));
  const obstacle = rehearse(changes, values);
  if (obstacle !== undefined) await link.send("UNWATCH");
  return obstacle;
}

/** @param values of the keys that are counted, which are changed */
function rehearse(changes: readonly Change[], values: Map<string, string | undefined>): WriteOutcome | undefined {
  for (const change of changes) {
    switch (change.kind) {
      case "set":
        values.set(change.key, change.value);
        break;
      case "unset":
        values.set(change.key, undefined);
        break;
      case "increment": {
        const value = values.get(change.key);
        if (value === undefined) return { kind: "absent" };
        const sum = /^(?:0|-?[1-9]\d{0,18})$/.test(value) ? BigInt(value) + change.by : undefined;
        if (sum === undefined) return { kind: "failed", reason: "the value is no whole number" };
        if (sum > MAX_INTEGER || sum < MIN_INTEGER) return { kind: "failed", reason: "the sum has more than 64 bits" };
        values.set(change.key, String(sum));
        break;
      }
    }
  }
  return undefined;
}

/** @returns undefined where a watched key was changed */
async function execute(link: RedisLink, commands: readonly Command[]): Promise<WriteOutcome | undefined> {
  // Sent in one turn, so that nothing comes between them.
  const queued = [["MULTI"], ...commands].map((command) => link.send(...command));
  const executed = link.send("EXEC");
  const settled = await Promise.allSettled([...queued, executed]);
  const refusals = settled.flatMap((end): unknown[] => (end.status === "rejected" ? [end.reason] : []));
  const lost = refusals.find((error) => !(error instanceof RedisRefused));
  if (lost !== undefined) return { kind: "uncertain", reason: `${errorText(lost)}, while writing` };
  // The first one says why, EXEC only that.
  if (refusals.length > 0) return { kind: "failed", reason: errorText(refusals[0]) };
  const replies = await executed;
  if (replies === null) return undefined;
  const errors = (replies as readonly RedisReply[]).filter((reply) => reply instanceof Error);
  if (errors.length === 0) return DONE;
  return { kind: errors.length === commands.length ? "failed" : "uncertain", reason: errorText(errors[0]) };
}

export const textOf = (reply: RedisReply | undefined): string | undefined =>
  reply instanceof Buffer ? decodeText(reply) : undefined;
