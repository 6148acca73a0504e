import { recipientOf } from "./routing/address.ts";
import type { Route } from "./routing/route.ts";
import { createRouter } from "./routing/router.ts";
import type { Router, RouterQuestion, RoutingDirectory } from "./routing/router.ts";
import type { OutsideAuthority, OutsideWrite } from "./moves/tools.ts";
import type { Running } from "./running.ts";
import type { TableSettings } from "./tables/open-tables.ts";
import type { Table, WriteOutcome } from "./tables/table.ts";

/** What it needs of the configuration in effect. */
export interface Asked {
  readonly config: Pick<Running["config"], "routing" | "drain"> & {
    readonly backends: { has(name: string): boolean };
    readonly tables: ReadonlyMap<string, Pick<TableSettings, "common">>;
  };
  readonly tables: Pick<Running["tables"], "exact">;
}

/**
 * Drops what is cached of a user, wherever deliveries and logins ask.
 * @throws where it cannot tell that all is dropped: then it is asked again
 */
export type ForgetUser = (table: string, key: string) => void | Promise<void>;

/** By `directory.write_through`; undefined where it names no table: then the directory decides. */
export function findOutsideAuthority(running: () => Asked, forgetUser: ForgetUser): OutsideAuthority | undefined {
  const { config, tables } = running();
  const { authority } = config.routing;
  if (authority === undefined) return undefined;
  const timeoutMs = config.tables.get(authority)?.common.guard?.timeoutMs ?? 0;
  return {
    table: authority,
    settleMs: Math.max(config.drain.settleMs, timeoutMs),
    async write(user, backend) {
      const write = tables.exact.get(authority)?.write;
      if (write === undefined) return { kind: "refused", reason: `table ${authority} cannot be written` };
      return toOutsideWrite(await write([{ kind: "set", key: user, value: backend }]));
    },
    read: (user) => readAuthority({ config, tables }, authority, user),
    async forget(user) {
      await forgetUser(authority, user);
    },
  };
}

function toOutsideWrite(outcome: WriteOutcome): OutsideWrite {
  switch (outcome.kind) {
    case "done":
      return { kind: "written" };
    case "absent":
      return { kind: "refused", reason: "there is no such key" };
    case "failed":
      return { kind: "refused", reason: outcome.reason };
    case "uncertain":
      return { kind: "unknown", reason: outcome.reason };
  }
}

/** By the router itself, so that nothing is read back which it would not follow: not even the right value. */
async function readAuthority(
  asked: Asked,
  authority: string,
  user: string,
): Promise<Awaited<ReturnType<OutsideAuthority["read"]>>> {
  const recipient = recipientOf(user, asked.config.routing);
  if (recipient === undefined) return { kind: "failed", reason: NO_RECIPIENT };
  const questions: RouterQuestion[] = [];
  await routerPastCaches(asked).route(recipient, (question) => questions.push(question));
  const answer = questions.find(({ table }) => table === authority)?.answer;
  switch (answer?.kind) {
    case "found":
      return { kind: "found", backend: answer.value };
    case "absent":
      return answer;
    case "failed":
      return { kind: "failed", reason: answer.reason };
    case undefined:
      return { kind: "failed", reason: describeOverruling(questions.at(-1), authority) };
  }
}

/** Why a user's move could not be: not everybody follows the outside table, before or afterwards. */
export async function describeConflict(
  user: string,
  route: Route,
  outside: OutsideAuthority | undefined,
): Promise<string | undefined> {
  const answer = await outside?.read(user);
  if (outside === undefined || answer === undefined || answer.kind === "absent") return undefined;
  if (answer.kind === "failed") return `table ${outside.table}: ${answer.reason}`;
  const isEntered = route.kind === "deliver" && route.source.kind === "directory";
  if (!isEntered || route.backend === answer.backend) return undefined;
  return (
    `table ${outside.table} says "${answer.backend}", but an entry of the directory overrules it with ` +
    `"${route.backend}": make the table say where the mailbox is, then mailshunt user unset ${user}`
  );
}

export const NO_RECIPIENT = "no address leads to this user";

function describeOverruling(last: RouterQuestion | undefined, authority: string): string {
  if (last?.answer.kind === "failed") return `table ${last.table}, which is asked before it: ${last.answer.reason}`;
  return `table ${last?.table ?? ""} is asked before ${authority} and knows the user: take the user out of it`;
}

/** Routes as mail is routed, by what the sources say now. */
export function routerPastCaches({ config, tables }: Asked, directory?: RoutingDirectory): Router {
  return createRouter({
    directory,
    options: config.routing,
    tables: new Map([...tables.exact].map(([name, table]) => [name, pastCache(table)])),
    hasBackend: (name) => config.backends.has(name),
  });
}

const pastCache = ({ name, lookup, lookupPastCache = lookup }: Table): Table => ({ name, lookup: lookupPastCache });
