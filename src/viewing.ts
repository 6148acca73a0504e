import type { Config } from "./config/config.ts";
import type { Endpoint } from "./core/endpoint.ts";
import { unreachable } from "./core/unreachable.ts";
import type { Resolved, Resolver } from "./net/resolver.ts";
import type { Route } from "./routing/route.ts";
import { createRouter } from "./routing/router.ts";
import type { Router, RouterParts, RoutingDirectory } from "./routing/router.ts";
import type { ListenerOptions } from "./servers/options.ts";
import { ABSENT } from "./tables/table.ts";
import type { Answer, Table, TableEntry } from "./tables/table.ts";
import { PASSDB_SERVICES } from "./tables/views.ts";
import type { RoutingView, TableViews } from "./tables/views.ts";
import { isUserKey } from "./views/key.ts";
import { toBackendName, toLoginAddress } from "./views/location.ts";
import { findLogin } from "./views/login.ts";
import type { LoginUser, ReachableLogin } from "./views/login.ts";
import { toLmtpPassdb, toLoginPassdb } from "./views/passdb.ts";
import type { Backends, LoginService } from "./views/places.ts";
import { toTransport } from "./views/transport.ts";
import type { MailWay } from "./views/transport.ts";
import { encodeText } from "./wire/text.ts";

export interface ViewingParts {
  readonly config: Pick<Config, "routing"> & {
    readonly backends: Backends;
    readonly listeners: readonly Pick<ListenerOptions, "protocol" | "address">[];
  };
  /** As the router asks them; asked for once they are open. */
  readonly tables: () => ReadonlyMap<string, Table>;
  /** How often what tables had said of a user had to be forgotten lately. */
  readonly forgetCount?: (userKey: string) => number;
  /** Undefined where none is configured. */
  readonly directory: ViewedDirectory | undefined;
  /** Whether logins of a user must wait, because the mailbox is being moved. */
  readonly isLocked: (userKey: string) => boolean;
  /** Somebody was told the store in which to log in. */
  readonly onLogin: (userKey: string) => void;
  readonly resolve: Resolver;
}

export interface ViewedDirectory extends RoutingDirectory {
  /** Users whose keys begin with a prefix. Undefined where only single ones can be found. */
  list?(prefix: string): AsyncIterable<{ readonly user: string; readonly backend: string }>;
}

/** The router's answers for those who are no mail, of one configuration. */
export interface Viewing {
  readonly tableViews: TableViews;
  /** Where a login goes. Never throws or rejects. @param user one character a byte */
  findLogin(service: LoginService, user: string): ReachableLogin | Promise<ReachableLogin>;
}

/** A user who is moved twice while names are looked up comes again later. */
const MAX_ROUNDS = 3;

/** Entries of a page. */
const LISTED_AT_ONCE = 500;

const NO_DIRECTORY: Answer = { kind: "failed", reason: "there is no directory in the configuration" };

export function createViewing(parts: ViewingParts): Viewing {
  const { config, tables, directory, isLocked, onLogin, resolve, forgetCount = () => 0 } = parts;
  const { backends } = config;
  let made: Routers | undefined;
  const routers = (): Routers => (made ??= makeRouters(config, tables(), directory));

  function locate(user: string): LoginUser | Promise<LoginUser> {
    const route = ask(user, 1);
    return route instanceof Promise ? route.then((late) => look(user, late)) : look(user, route);
  }

  /** Once more where a table was written meanwhile: its answer may be older than that. */
  function ask(user: string, round: number): Route | Promise<Route> {
    const hasChanged = watch(user);
    const route = routers().login.route(user);
    if (!(route instanceof Promise)) return route;
    return route.then((late) => (hasChanged() && round < MAX_ROUNDS ? ask(user, round + 1) : late));
  }

  /** @returns whether what tables say of the user has changed since */
  function watch(user: string): () => boolean {
    if (config.routing.authority === undefined) return () => false;
    const userKey = routers().login.userKeyOf(user);
    const before = forgetCount(userKey);
    return () => forgetCount(userKey) !== before;
  }

  /** What the directory and the locks say in the turn of the answer counts, whenever tables were asked. */
  function look(user: string, route: Route): LoginUser {
    const entered = routers().entry.route(user);
    const isNewer = !(entered instanceof Promise) && entered.kind !== "unknown";
    return { route: isNewer ? entered : route, isLocked: isLocked(route.userKey) };
  }

  function login(service: LoginService, user: string): ReachableLogin | Promise<ReachableLogin> {
    const known = locate(user);
    if (known instanceof Promise) return known.then((late) => reach(service, user, late, 1)).then(tell);
    const reached = reach(service, user, known, 1);
    return reached instanceof Promise ? reached.then(tell) : tell(reached);
  }

  function tell(reached: ReachableLogin): ReachableLogin {
    if (reached.login.kind === "go") onLogin(reached.login.userKey);
    return reached;
  }

  function reach(
    service: LoginService,
    user: string,
    known: LoginUser,
    round: number,
  ): ReachableLogin | Promise<ReachableLogin> {
    const found = findLogin(known, service, backends);
    if (found.kind !== "go") return { login: found, ip: "" };
    const hasChanged = watch(user);
    const resolved = resolve(found.place.address.host);
    if (!(resolved instanceof Promise)) return toReachable(found, resolved);
    return resolved.then(async (late) => {
      const now = hasChanged() ? await locate(user) : look(user, known.route);
      if (!now.isLocked && isSameBackend(now.route, known.route)) return toReachable(found, late);
      if (round < MAX_ROUNDS) return reach(service, user, now, round + 1);
      return { login: { kind: "locked", userKey: found.userKey }, ip: "" };
    });
  }

  function mailWay(view: RoutingView): MailWay {
    return view.isDirect ? { kind: "direct", backends } : { kind: "proxy", listener: view.lmtp ?? ownListener(config) };
  }

  function viewRoute(view: RoutingView, key: string): Answer | Promise<Answer> {
    const question = readQuestion(view, key);
    if (question === undefined) return { kind: "failed", reason: `the key does not begin with ${SERVICE_LIST}` };
    const { as, user } = question;
    const takesBareNames = view.as === "passdb";
    if (!isUserKey(user, { domains: view.domains, takesBareNames })) return ABSENT;
    const onWire = encodeText(user).toString("latin1");
    const { mail } = routers();
    switch (as) {
      case "transport":
        return after(mail.route(onWire), (route) => toTransport(route, mailWay(view)));
      case "passdb-lmtp":
        return after(mail.route(onWire), (route) => toLmtpPassdb(route, mailWay(view)));
      case "backend":
        return after(ask(onWire, 1), toBackendName);
      case "imap":
      case "pop3":
      case "submission":
        return after(locate(onWire), (known) => toLoginAddress(findLogin(known, as, backends)));
      case "passdb-imap":
      case "passdb-pop3":
      case "passdb-submission": {
        const { tellsMaster } = view;
        return after(login(LOGIN_SERVICE[as], onWire), (reachable) => toLoginPassdb({ ...reachable, tellsMaster }));
      }
      default:
        return unreachable(as);
    }
  }

  function findEntry(key: string): Answer {
    if (!isUserKey(key, { domains: undefined, takesBareNames: true })) return ABSENT;
    if (directory === undefined) return NO_DIRECTORY;
    try {
      const { backend } = directory.find(routers().mail.userKeyOf(encodeText(key).toString("latin1")));
      return backend === undefined ? ABSENT : { kind: "found", value: backend };
    } catch (error) {
      return { kind: "failed", reason: `directory: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  async function* listEntries(prefix: string): AsyncGenerator<readonly TableEntry[]> {
    if (directory?.list === undefined) throw new Error("there is no directory that can be listed");
    let page: TableEntry[] = [];
    // User keys are in lower case.
    for await (const { user, backend } of directory.list(prefix.normalize("NFC").toLowerCase())) {
      page.push({ key: user, value: backend });
      if (page.length < LISTED_AT_ONCE) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  return { tableViews: { route: viewRoute, findEntry, listEntries }, findLogin: login };
}

interface Routers {
  /** As mail is routed. */
  readonly mail: Router;
  /** As users log in: holds are no matter, which keep out mail alone. */
  readonly login: Router;
  /** By the directory alone, which answers in the same turn. */
  readonly entry: Router;
}

function makeRouters(
  { routing: options, backends }: ViewingParts["config"],
  tables: RouterParts["tables"],
  directory: RoutingDirectory | undefined,
): Routers {
  const hasBackend = (name: string): boolean => backends.has(name);
  const withoutHolds: RoutingDirectory | undefined = directory && {
    find: (userKey) => ({ backend: directory.find(userKey).backend, holds: [] }),
  };
  const { key, recipientDelimiter } = options;
  return {
    mail: createRouter({ directory, options, tables, hasBackend }),
    login: createRouter({ directory: withoutHolds, options, tables, hasBackend }),
    entry: createRouter({
      directory: withoutHolds,
      options: { key, recipientDelimiter, tables: [], unknown: "defer" },
      tables,
      hasBackend,
    }),
  };
}

function toReachable(login: Extract<ReachableLogin["login"], { kind: "go" }>, resolved: Resolved): ReachableLogin {
  if (resolved.kind === "found") return { login, ip: resolved.ip };
  return { login: { kind: "failed", userKey: login.userKey, reason: resolved.reason }, ip: "" };
}

const isSameBackend = (a: Route, b: Route): boolean =>
  a.kind === "deliver" && b.kind === "deliver" && a.backend === b.backend;

const ownListener = ({ listeners }: ViewingParts["config"]): Endpoint | undefined =>
  listeners.find(({ protocol }) => protocol === "lmtp")?.address;

const LOGIN_SERVICE = { "passdb-imap": "imap", "passdb-pop3": "pop3", "passdb-submission": "submission" } as const;

const SERVICE_LIST = `${PASSDB_SERVICES.map((service) => `${service}/`).join(", ")}, as service: of the table is not set`;

type Asked = Exclude<RoutingView["as"], "passdb"> | `passdb-${(typeof PASSDB_SERVICES)[number]}`;

/** Undefined where a passdb cannot tell who asks. */
function readQuestion(
  { as, service }: RoutingView,
  key: string,
): { readonly as: Asked; readonly user: string } | undefined {
  if (as !== "passdb") return { as, user: key };
  if (service !== undefined) return { as: `passdb-${service}`, user: key };
  const named = PASSDB_SERVICES.find((word) => key.startsWith(`${word}/`));
  return named && { as: `passdb-${named}`, user: key.slice(named.length + 1) };
}

function after<Value>(value: Value | Promise<Value>, toAnswer: (value: Value) => Answer): Answer | Promise<Answer> {
  return value instanceof Promise ? value.then(toAnswer) : toAnswer(value);
}
