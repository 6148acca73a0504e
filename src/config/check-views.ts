import { parseEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import type { MappingEntry, YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, offsetOfValue, textOf, valueOf } from "../yaml/tree.ts";
import type { FaultCollector } from "./faults.ts";

/** What the router's views need elsewhere in the file: listeners, addresses of backends, and not to be asked by the router. */
export function checkViews(root: YamlNode, faults: FaultCollector): void {
  const tables = entriesOf(valueOf(root, "tables"));
  checkRoutingTables(root, tables, faults);
  for (const [name, { keyOffset, value: table }] of tables) {
    const type = wordOf(table, "type");
    if (type === "routing") checkRoutingView(root, table, faults);
    if (type === "directory" && entryOf(root, "directory") === undefined)
      faults.error(keyOffset, `table "${name}" needs the section "directory"`);
    const cache = entryOf(table, "cache");
    const viewed = cache && findView(name, tables);
    if (cache !== undefined && viewed !== undefined && viewed.length > 1)
      faults.error(cache.keyOffset, `this would remember answers of the router, which must be fresh: ${chain(viewed)}`);
  }
  const asked = listenersOf(root, "auth-http");
  for (const listener of asked) checkAuthHttp(root, listener, faults);
  if (asked.length > 0) warnOfTls(root, faults);
}

type Entries = ReadonlyMap<string, MappingEntry>;

const VIEW_TYPES: ReadonlySet<string> = new Set(["routing", "directory"]);

/** What the protocols of `auth-http` are called in a backend. */
const LOGIN_SERVICES = ["imap", "pop3", "submission"] as const;

const wordOf = (node: YamlNode | undefined, key: string): string | undefined => textOf(valueOf(node, key));

const chain = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(" → ");

function listenersOf(root: YamlNode, protocol: string): readonly YamlNode[] {
  const listeners = valueOf(root, "listeners");
  const items = listeners?.kind === "sequence" ? listeners.items : [];
  return items.filter((item) => wordOf(item, "protocol") === protocol);
}

function checkRoutingTables(root: YamlNode, tables: Entries, faults: FaultCollector): void {
  const list = valueOf(valueOf(root, "routing"), "tables");
  for (const item of list?.kind === "sequence" ? list.items : []) {
    const viewed = findView(textOf(item) ?? "", tables);
    const type = viewed && wordOf(tables.get(viewed.at(-1) ?? "")?.value, "type");
    if (viewed === undefined || type === undefined) continue;
    const how = viewed.length > 1 ? ` (${chain(viewed)})` : "";
    if (type === "routing") faults.error(item.offset, `the router cannot ask a table that asks the router${how}`);
    else
      faults.warn(item.offset, `the router asks the directory before any table: this one tells it nothing new${how}`);
  }
}

/** From a table to one that asks the router or the directory, by way of its members. */
function findView(start: string, tables: Entries): readonly string[] | undefined {
  const seen = new Set<string>();
  const visit = (name: string): readonly string[] | undefined => {
    const table = tables.get(name)?.value;
    if (table === undefined || seen.has(name)) return undefined;
    seen.add(name);
    if (VIEW_TYPES.has(wordOf(table, "type") ?? "")) return [name];
    const members = wordOf(table, "type") === "static" ? undefined : valueOf(table, "tables");
    for (const item of members?.kind === "sequence" ? members.items : []) {
      const found = visit(textOf(item) ?? "");
      if (found !== undefined) return [name, ...found];
    }
    return undefined;
  };
  return visit(start);
}

function checkRoutingView(root: YamlNode, table: YamlNode, faults: FaultCollector): void {
  const as = entryOf(table, "as");
  const word = textOf(as?.value);
  if (as === undefined || word === undefined) return;
  const offset = offsetOfValue(as);
  const service = wordOf(table, "service");
  const login = word === "passdb" ? service : word;
  if (word === "transport") checkDomains(root, table, offset, faults);
  const isOfMail = word === "transport" || (word === "passdb" && service === "lmtp");
  const isDirect = ["true", "yes", "on"].includes(wordOf(table, "direct")?.toLowerCase() ?? "");
  if (isOfMail && !isDirect) checkReached(root, table, word === "passdb", offset, faults);
  const needed = LOGIN_SERVICES.find((known) => known === login);
  if (needed !== undefined) warnOfMissing(root, needed, offset, faults);
}

/** Otherwise mail for all the world would come to us. */
function checkDomains(root: YamlNode, table: YamlNode, offset: number, faults: FaultCollector): void {
  const routing = valueOf(root, "routing");
  if (entryOf(table, "domains") !== undefined) return;
  const hasFallback = entryOf(routing, "fallback") !== undefined;
  if (wordOf(routing, "key") === "address" && !hasFallback) return;
  const because = hasFallback ? "there is a routing.fallback" : "routing.key is localpart";
  faults.error(
    offset,
    `"domains" is missing: Postfix asks transport_maps for addresses elsewhere too, and ${because}, so they would be ours`,
  );
}

const EVERYWHERE: ReadonlySet<string> = new Set(["0.0.0.0", "::", "*"]);

function checkReached(
  root: YamlNode,
  table: YamlNode,
  isPassdb: boolean,
  offset: number,
  faults: FaultCollector,
): void {
  const given = entryOf(table, "lmtp");
  const [first] = listenersOf(root, "lmtp");
  if (given === undefined && first === undefined) {
    faults.error(offset, "there is no LMTP listener to which mail could be sent");
    return;
  }
  const reached = given === undefined ? readAddress(wordOf(first, "address")) : readAddress(textOf(given.value));
  const at = given === undefined ? offset : offsetOfValue(given);
  if (isPassdb && reached?.kind === "unix")
    faults.error(at, "Dovecot's LMTP proxy cannot connect to a unix socket: it needs an LMTP listener on TCP");
  if (reached?.kind === "tcp" && (EVERYWHERE.has(reached.host) || reached.port === 0))
    faults.error(
      at,
      'nobody can connect to the address of the first LMTP listener: "lmtp" must say where it is reached',
    );
}

function readAddress(text: string | undefined): Endpoint | undefined {
  if (text?.startsWith("unix:") === true) return { kind: "unix", path: text };
  const parsed = parseEndpoint(text ?? "");
  return parsed.kind === "ok" ? parsed.endpoint : undefined;
}

type LoginService = (typeof LOGIN_SERVICES)[number];

function warnOfMissing(root: YamlNode, service: LoginService, offset: number, faults: FaultCollector): void {
  const backends = [...entriesOf(valueOf(root, "backends"))];
  const missing = backends.filter(([, { value }]) => entryOf(value, service) === undefined).map(([name]) => name);
  if (missing.length === 0) return;
  const which = `backend${missing.length === 1 ? "" : "s"} ${missing.map((name) => `"${name}"`).join(", ")}`;
  faults.warn(offset, `logins of users in ${which} have to wait: there is no "${service}"`);
}

function checkAuthHttp(root: YamlNode, listener: YamlNode, faults: FaultCollector): void {
  const backends = [...entriesOf(valueOf(root, "backends"))];
  const offset = offsetOfValue(entryOf(listener, "protocol") ?? { keyOffset: listener.offset, value: listener });
  const served = LOGIN_SERVICES.filter((service) =>
    backends.some(([, { value }]) => entryOf(value, service) !== undefined),
  );
  if (served.length === 0 && backends.length > 0)
    faults.error(offset, `no backend says where users log in: it needs "imap", "pop3" or "submission"`);
  // That one store lets nobody read by POP3 or send is no fault.
  if (served.includes("imap")) warnOfMissing(root, "imap", offset, faults);
}

function warnOfTls(root: YamlNode, faults: FaultCollector): void {
  for (const [name, { value }] of entriesOf(valueOf(root, "backends")))
    for (const service of LOGIN_SERVICES) {
      const tls = entryOf(valueOf(value, service), "tls");
      if (tls !== undefined && textOf(tls.value) === "implicit")
        faults.warn(offsetOfValue(tls), `nginx speaks no TLS to stores: it cannot log in to backend "${name}" there`);
    }
}
