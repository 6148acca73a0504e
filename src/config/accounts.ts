import { findGroup, findUser } from "../core/accounts.ts";
import { parseEndpoint } from "../core/endpoint.ts";
import type { FaultCollector } from "./faults.ts";
import type { Format } from "./parts.ts";
import type { YamlNode } from "../yaml/node.ts";
import { entryOf, isNone, offsetOfValue, textOf, valueOf } from "../yaml/tree.ts";

/** An account's name or number in a file. */
interface AccountUse {
  readonly database: "user" | "group";
  readonly account: string;
  readonly offset: number;
}

/**
 * Warns of users and groups that this machine does not have. For `check` only: a file may be checked elsewhere than
 * it is used, and the daemon says at its start what it cannot become.
 */
export async function warnOfMissingAccounts(root: YamlNode, format: Format, faults: FaultCollector): Promise<void> {
  const isThere = new Map<string, boolean>();
  for (const { database, account, offset } of format === "mailshunt" ? inOwnFormat(root) : inLmtpProxy(root)) {
    const id = `${database} "${account}"`;
    const find = database === "user" ? findUser : findGroup;
    const known = isThere.get(id) ?? (await find(account)) !== undefined;
    isThere.set(id, known);
    if (!known) faults.warn(offset, `there is no ${id} on this machine`);
  }
}

function* inOwnFormat(root: YamlNode): IterableIterator<AccountUse> {
  const section = valueOf(root, "process");
  yield* accountAt(section, "user", "user");
  yield* accountAt(section, "group", "group");
  const listeners = valueOf(root, "listeners");
  for (const listener of listeners?.kind === "sequence" ? listeners.items : []) {
    const address = parseEndpoint(textOf(valueOf(listener, "address")) ?? "");
    if (address.kind === "ok" && address.endpoint.kind === "unix") yield* ownersOf(listener);
  }
}

function* inLmtpProxy(root: YamlNode): IterableIterator<AccountUse> {
  const config = valueOf(root, "config");
  if (valueOf(config, "socket")?.kind === "scalar") yield* ownersOf(config);
}

function* ownersOf(listener: YamlNode | undefined): IterableIterator<AccountUse> {
  yield* accountAt(listener, "owner", "user");
  yield* accountAt(listener, "group", "group");
}

function* accountAt(
  node: YamlNode | undefined,
  key: string,
  database: AccountUse["database"],
): IterableIterator<AccountUse> {
  const entry = entryOf(node, key);
  const account = textOf(entry?.value);
  if (entry === undefined || account === undefined || account === "" || isNone(entry.value)) return;
  yield { database, account, offset: offsetOfValue(entry) };
}
