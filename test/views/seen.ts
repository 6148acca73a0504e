import type { Resolved } from "../../src/net/resolver.ts";
import type { RoutingOptions } from "../../src/routing/options.ts";
import { systemClock } from "../../src/core/clock.ts";
import { openTables } from "../../src/tables/open-tables.ts";
import type { TableSet, TableSettings } from "../../src/tables/open-tables.ts";
import type { Source } from "../../src/tables/source.ts";
import type { Answer } from "../../src/tables/table.ts";
import { DIRECTORY } from "../../src/tables/types/directory-table.ts";
import { ROUTING } from "../../src/tables/types/routing-table.ts";
import type { RoutingView } from "../../src/tables/views.ts";
import { createViewing } from "../../src/viewing.ts";
import type { Viewing } from "../../src/viewing.ts";
import type { Backends } from "../../src/views/places.ts";
import { composite, scripted, scriptedType, typesWith } from "../support/scripted-type.ts";

/** What a test may change while it asks. */
export interface Scene {
  /** The one table that the router asks. */
  users: (key: string) => Answer | Promise<Answer>;
  /** User key to backend, and who is held. Undefined: no directory. */
  directory:
    | {
        find(user: string): { backend: string | undefined; holds: { owner: string; reason: string }[] };
        list?: (prefix: string) => AsyncIterable<{ user: string; backend: string }>;
      }
    | undefined;
  readonly locked: Set<string>;
  /** Outside table's answers that were forgotten, of whomever. */
  forgets: number;
  resolve: (host: string) => Resolved | Promise<Resolved>;
}

export const VIEW: RoutingView = {
  as: "backend",
  service: undefined,
  lmtp: undefined,
  isDirect: false,
  domains: undefined,
  tellsMaster: false,
};

const place = (host: string, port: number) => ({ address: { host, port }, tls: "none" }) as const;

export const BACKENDS: Backends = new Map([
  [
    "old",
    {
      lmtp: { kind: "tcp", host: "10.0.0.1", port: 24 },
      imap: { ...place("10.0.0.1", 143), master: { user: "mailshunt", password: "hunter2" } },
      pop3: place("10.0.0.1", 110),
    },
  ],
  ["new", { lmtp: { kind: "unix", path: "/new" }, imap: place("imap.example", 993), pop3: place("10.0.0.2", 110) }],
]);

export interface Seen {
  readonly scene: Scene;
  readonly viewing: Viewing;
  /** As a listener would ask a table of this view. */
  ask(view: Partial<RoutingView>, key: string): Answer | Promise<Answer>;
  readonly tables: TableSet;
}

/** The router of a configuration with one table, and tables of every view of it. */
export function see(initial: Partial<Scene>, routing: Partial<RoutingOptions> = {}): Seen {
  const scene: Scene = {
    users: () => ({ kind: "absent" }),
    directory: undefined,
    locked: new Set(),
    forgets: 0,
    resolve: (host) => ({ kind: "found", ip: host === "imap.example" ? "10.0.0.2" : host }),
    ...initial,
  };
  const viewing = createViewing({
    config: {
      backends: BACKENDS,
      routing: { key: "localpart", recipientDelimiter: "+", tables: ["users"], unknown: "defer", ...routing },
      listeners: [
        { protocol: "socketmap", address: { kind: "unix", path: "/run/map" } },
        { protocol: "lmtp", address: { kind: "tcp", host: "127.0.0.1", port: 2424 } },
        { protocol: "lmtp", address: { kind: "unix", path: "/run/lmtp" } },
      ],
    },
    tables: () => tables.exact,
    directory: scene.directory && {
      find: (user) => scene.directory?.find(user) ?? { backend: undefined, holds: [] },
      ...(scene.directory.list === undefined ? {} : { list: scene.directory.list }),
    },
    forgetCount: () => scene.forgets,
    isLocked: (user) => scene.locked.has(user),
    onLogin: () => undefined,
    resolve: (host) => scene.resolve(host),
  });
  const types = typesWith({
    scripted: scriptedType("memory", () => ({ lookup: (key) => scene.users(key) })),
    closing: scriptedType("memory", () => openClosing()),
    routing: ROUTING,
    directory: DIRECTORY,
  });
  const NO_RULES = { key: undefined, value: undefined, cache: undefined, guard: undefined };
  const settings = new Map<string, TableSettings>([
    ["users", scripted("scripted", "users")],
    ["closing", scripted("closing", "closing")],
    ["transport", { type: "routing", options: { ...VIEW, as: "transport" }, common: NO_RULES }],
    ["directory", { type: "directory", options: {}, common: NO_RULES }],
    ["either", composite("first", ["directory", "transport"])],
  ]);
  const tables = openTables(settings, { clock: systemClock, say: () => undefined, types, views: viewing.tableViews });
  return { scene, viewing, tables, ask: (view, key) => viewing.tableViews.route({ ...VIEW, ...view }, key) };
}

/** Knows nobody, and has failed from the moment at which it is closed. */
function openClosing(): Source {
  let isClosed = false;
  return {
    lookup: () => (isClosed ? { kind: "failed", reason: "closed" } : { kind: "absent" }),
    close() {
      isClosed = true;
    },
  };
}

export const found = (value: string): Answer => ({ kind: "found", value });
