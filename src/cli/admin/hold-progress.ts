import type { AdminClient } from "../../admin/client.ts";
import type { CommandIo } from "../command-io.ts";
import { count, formatAge, shown } from "./format.ts";
import type { Status } from "./status.ts";

/** After which somebody at a terminal wants to know, and how often again, in ms. */
const FIRST_AFTER_MS = 1_000;
const AGAIN_AFTER_MS = 5_000;

/** Deliveries that are looked through for those of the held. */
const LOOKED_AT = 1_000;

/**
 * Says on a terminal what a long drain waits for.
 * @param waiting those asked for and not answered, as it stands at the time
 * @returns ends it
 */
export function showProgress(client: AdminClient, waiting: ReadonlySet<string>, { stderr }: CommandIo): () => void {
  if (!("isTTY" in stderr) || stderr.isTTY !== true) return () => undefined;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const wait = (ms: number): void => {
    if (!isOver) timer = setTimeout(() => void tell(), ms);
  };
  async function tell(): Promise<void> {
    try {
      const text = await describeWaiting(client, [...waiting]);
      if (!isOver) stderr.write(text);
    } catch {
      // The holds themselves tell what is wrong with the daemon.
    }
    wait(AGAIN_AFTER_MS);
  }
  wait(FIRST_AFTER_MS);
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

export async function describeWaiting(client: AdminClient, users: readonly string[]): Promise<string> {
  const [first] = users;
  if (first === undefined) return "";
  const { deliveries } = await client.ask<Status>("GET", "/v1/status", { query: { deliveries: LOOKED_AT } });
  const replies = await Promise.all(
    users.slice(0, 5).map((user) => client.ask<{ readonly user: string }>("GET", "/v1/user", { query: { user } })),
  );
  const keys = new Set(replies.map(({ user }) => user));
  const found = deliveries.oldest.filter(({ user }) => keys.has(user));
  const who = users.length === 1 ? shown(first) : count(users.length, "user");
  if (found.length === 0)
    return `waiting for ${who}: nothing is under way, but what had no answer must settle (drain.settle)\n`;
  const lines = found
    .slice(0, 5)
    .map(
      ({ user, session, backend = "-", stage, age_ms: ageMs }) =>
        `  ${shown(user)}: session ${session} to ${shown(backend)}: ${stage}, ${formatAge(ageMs)}\n`,
    );
  return `waiting for ${who}, ${count(found.length, "delivery", "deliveries")} under way:\n${lines.join("")}`;
}
