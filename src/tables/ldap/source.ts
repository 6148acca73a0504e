import type { Entry } from "ldapts";
import { formatEndpoint } from "../../core/endpoint.ts";
import { decodeText } from "../../wire/text.ts";
import { ConnectionPool } from "../connection-pool.ts";
import { errorText } from "../error-text.ts";
import type { Source, SourceContext } from "../source.ts";
import { ABSENT, found } from "../table.ts";
import type { Answer } from "../table.ts";
import { connectLdap, LdapRefused } from "./connection.ts";
import type { LdapConnection, LdapSearch, LdapServer } from "./connection.ts";
import { fillFilter, filterInputs, prune } from "./fill-filter.ts";
import type { FilterTemplate } from "./filter.ts";

export interface LdapOptions {
  readonly server: LdapServer;
  readonly maxConnections: number;
  readonly base: string;
  readonly scope: LdapSearch["scope"];
  readonly filter: FilterTemplate;
  readonly attributes: readonly string[];
  /** Entries of one answer; with more it has failed. */
  readonly maxEntries: number;
}

/** That answers of other servers are left out is said again after this time, in ms. */
const REPEAT_MS = 3_600_000;

const NO_SUCH_OBJECT = 32;
const INVALID_CREDENTIALS = 49;

export function openLdapSource(options: LdapOptions, { clock, say }: SourceContext): Source {
  const { server, maxConnections, base, scope, filter, attributes, maxEntries } = options;
  const name = `ldap at ${formatEndpoint(server.endpoint)}`;
  const pool = new ConnectionPool<LdapConnection>({
    maxConnections,
    clock,
    connect: (signal) => connectLdap(server, clock, signal),
  });
  let saidReferencesMs = Number.NEGATIVE_INFINITY;

  async function lookup(key: string, signal: AbortSignal): Promise<Answer> {
    // slapd 2.5 takes such a key for what stands before the NUL, where the attribute is an IA5 string, as mail is.
    if (key.includes("\0")) return { kind: "failed", reason: `${name}: a key with a NUL cannot be asked for` };
    const inputs = filterInputs(key);
    const pruned = prune(filter, inputs);
    if (pruned === undefined) return ABSENT;
    try {
      const search = { base, scope, filter: fillFilter(pruned, inputs), attributes };
      const { entries, references } = await pool.use(
        signal,
        (connection) => connection.search(search),
        () => true,
      );
      if (references.length > 0) sayReferences(references);
      return entries.length > maxEntries
        ? { kind: "failed", reason: `${name}: ${entries.length} entries match, more than size_limit: ${maxEntries}` }
        : toAnswer(entries);
    } catch (error) {
      const isDown = !(error instanceof LdapRefused) || error.isServerDown;
      return { kind: "failed", reason: explain(error), ...(isDown ? { scope: "source" as const } : {}) };
    }
  }

  function toAnswer(entries: readonly Entry[]): Answer {
    const values: string[] = [];
    for (const entry of entries)
      for (const attribute of attributes) {
        const read = readAttribute(entry, attribute);
        if (read === undefined)
          return { kind: "failed", reason: `${name}: the server gives a part of ${attribute} alone, in ranges` };
        values.push(...read);
      }
    return found(values);
  }

  function explain(error: unknown): string {
    const text = errorText(error);
    if (!(error instanceof LdapRefused)) return `${name}: ${text}`;
    switch (error.resultCode) {
      case NO_SUCH_OBJECT:
        return `${name}: ${text}: there is no base "${base}", or it may not be seen`;
      case INVALID_CREDENTIALS:
        return `${name}: ${text}: wrong bind_dn or bind_password`;
      default:
        return `${name}: ${text}`;
    }
  }

  function sayReferences(references: readonly string[]): void {
    const nowMs = clock.nowMs();
    if (nowMs - saidReferencesMs < REPEAT_MS) return;
    saidReferencesMs = nowMs;
    say("warning", `${name} refers to other servers, which are not asked: ${references.slice(0, 3).join(", ")}`);
  }

  return { lookup, close: () => pool.close() };
}

/** @returns undefined where it is there in part, as Active Directory gives long lists: source: draft-kashi-incremental-00 */
function readAttribute(entry: Entry, attribute: string): readonly string[] | undefined {
  const wanted = attribute.toLowerCase();
  const values: string[] = [];
  for (const [given, value] of Object.entries(entry)) {
    const type = given.toLowerCase();
    if (type.startsWith(`${wanted};range=`)) return undefined;
    if (type === wanted)
      for (const each of [value].flat()) values.push(typeof each === "string" ? each : decodeText(each));
  }
  return values;
}
