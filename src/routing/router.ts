import type { Answer, Table } from "../tables/table.ts";
import { parseAddress, userKeys, type UserKeys } from "./address.ts";
import type { RoutingOptions } from "./options.ts";
import type { Route, RouteSource } from "./route.ts";

/** One question the router asked on its way, for `mailshunt route`. */
export interface RouterQuestion {
  readonly table: string;
  readonly key: string;
  readonly answer: Answer;
}

export interface Router {
  /** The one name by which holds, directory and moves know the user of a recipient, as for `route`. */
  userKeyOf(recipient: string): string;
  /**
   * Where mail for a recipient goes. Never throws or rejects; answers in the same turn while all tables do.
   * @param recipient the path as it came, one character a byte
   * @param onQuestion hears of each table asked
   */
  route(recipient: string, onQuestion?: (question: RouterQuestion) => void): Route | Promise<Route>;
}

/** What the router asks of the directory: anew for each recipient, in the turn in which its delivery was counted. */
export interface RoutingDirectory {
  /** @throws when it cannot tell */
  find(userKey: string): DirectoryEntry;
}

export interface DirectoryEntry {
  readonly backend: string | undefined;
  readonly holds: readonly { readonly owner: string; readonly reason: string }[];
}

export interface RouterParts {
  /** Undefined where none is configured. */
  readonly directory?: RoutingDirectory | undefined;
  readonly options: RoutingOptions;
  readonly tables: ReadonlyMap<string, Table>;
  readonly hasBackend: (name: string) => boolean;
}

const FALLBACK: RouteSource = { kind: "fallback" };
const DIRECTORY: RouteSource = { kind: "directory" };

/** In order: holds, the directory's entry, the tables, the fallback. Whatever cannot tell ends the search. */
export function createRouter({ directory, options, tables, hasBackend }: RouterParts): Router {
  const asked = options.tables.map((name) => {
    const table = tables.get(name);
    if (table === undefined) throw new Error(`routing.tables names ${name}, which does not exist`);
    return table;
  });

  /** The last recipient asked for: a delivery is counted by its user key, then routed. */
  let latest = { recipient: "", keys: userKeys(parseAddress(""), options) };

  function keysOf(recipient: string): UserKeys {
    if (recipient !== latest.recipient) latest = { recipient, keys: userKeys(parseAddress(recipient), options) };
    return latest.keys;
  }

  function route(recipient: string, onQuestion?: (question: RouterQuestion) => void): Route | Promise<Route> {
    const { userKey, tableKeys } = keysOf(recipient);
    const entered = directory === undefined ? undefined : askDirectory(directory, userKey);
    if (entered !== undefined) return entered;
    // What a move wrote for the user must not be overruled by an older row under another spelling.
    const authorityKeys =
      options.authority === undefined ? tableKeys : [userKey, ...tableKeys.filter((key) => key !== userKey)];

    function askFrom(first: number): Route | Promise<Route> {
      for (let at = first; at < asked.length * tableKeys.length; at += 1) {
        const table = asked[Math.floor(at / tableKeys.length)];
        const key = (table?.name === options.authority ? authorityKeys : tableKeys)[at % tableKeys.length];
        if (table === undefined || key === undefined) break;
        const answer = table.lookup(key);
        if (answer instanceof Promise) return answer.then((late) => settle(table.name, key, late) ?? askFrom(at + 1));
        const settled = settle(table.name, key, answer);
        if (settled !== undefined) return settled;
      }
      if (options.fallback === undefined) return { kind: "unknown", userKey, answer: options.unknown };
      return toRoute(userKey, options.fallback, FALLBACK);
    }

    function settle(table: string, key: string, answer: Answer): Route | undefined {
      onQuestion?.({ table, key, answer });
      const source: RouteSource = { kind: "table", table, key };
      switch (answer.kind) {
        case "found":
          return toRoute(userKey, answer.value, source);
        case "failed":
          return { kind: "failed", userKey, source, reason: `table ${table}: ${answer.reason}` };
        case "absent":
          return undefined;
      }
    }

    return askFrom(0);
  }

  /** @returns undefined where it has nothing to say of the user */
  function askDirectory(asked: RoutingDirectory, userKey: string): Route | undefined {
    let entry: DirectoryEntry;
    try {
      entry = asked.find(userKey);
    } catch (error) {
      const reason = `directory: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: "failed", userKey, source: DIRECTORY, reason };
    }
    const [hold] = entry.holds;
    if (hold !== undefined)
      return { kind: "hold", userKey, source: { kind: "hold", owner: hold.owner, reason: hold.reason } };
    if (entry.backend === undefined) return undefined;
    // A hold or a refusal is no backend here: the directory has words of its own for them.
    if (hasBackend(entry.backend)) return { kind: "deliver", userKey, backend: entry.backend, source: DIRECTORY };
    return { kind: "failed", userKey, source: DIRECTORY, reason: `there is no backend "${entry.backend}"` };
  }

  function toRoute(userKey: string, value: string, source: RouteSource): Route {
    if (value === "hold" || value === "refuse") return { kind: value, userKey, source };
    if (hasBackend(value)) return { kind: "deliver", userKey, backend: value, source };
    return { kind: "failed", userKey, source, reason: `there is no backend "${value}"` };
  }

  return { route, userKeyOf: (recipient) => keysOf(recipient).userKey };
}
