import type { Endpoint } from "../core/endpoint.ts";
import { list, named, optional, required, section, variant, withDefault } from "../core/option-schema.ts";
import type { OptionSchema, SectionEntries, SectionOutput, Variants } from "../core/option-schema.ts";
import { address, choice, count, network, permissions, scalar, text } from "../core/option-values.ts";
import { secretText } from "../core/read-secret.ts";
import { bad, ok } from "../core/units.ts";

interface ListenerBase {
  readonly address: Endpoint;
  /** Owner, group and mode of a unix socket; undefined leaves what the system gives. */
  readonly owner: string | undefined;
  readonly group: string | undefined;
  /** Mode bits, such as 0o660. */
  readonly permissions: number | undefined;
  readonly maxConnections: number;
  /** Per client address; not counted on unix sockets. */
  readonly maxConnectionsPerAddress: number;
}

export interface LmtpListener extends ListenerBase {
  readonly protocol: "lmtp";
  /** Networks whose XFORWARD we take, in CIDR; clients of a unix socket are always trusted. */
  readonly trustedNetworks: readonly string[];
}

/** Name on the wire → table; undefined serves each table under its own name. */
export type ServedNames = ReadonlyMap<string, string> | undefined;

export interface SocketmapListener extends ListenerBase {
  readonly protocol: "socketmap";
  readonly tables: ServedNames;
}

/** How a dict key becomes a table's: see `protocols/dict`. */
export const DICT_KEY_STYLES = ["podop", "path"] as const;

export interface DictListener extends ListenerBase {
  readonly protocol: "dict";
  readonly tables: ServedNames;
  readonly keys: (typeof DICT_KEY_STYLES)[number];
}

export interface TcpTableListener extends ListenerBase {
  readonly protocol: "tcp-table";
  readonly table: string;
}

export interface AdminListener extends ListenerBase {
  readonly protocol: "admin";
  /** Asked of clients over TCP, who must know it; undefined on a unix socket. */
  readonly token: string | undefined;
}

export interface AuthHttpListener extends ListenerBase {
  readonly protocol: "auth-http";
  readonly secret: string;
  /** Name of the header in which nginx sends the secret, in lower case. */
  readonly header: string;
  /** Ends the mailbox's user in a login name; empty for none. */
  readonly masterSeparator: string;
}

export type TableListener = SocketmapListener | DictListener | TcpTableListener;
export type ListenerOptions = LmtpListener | TableListener | AdminListener | AuthHttpListener;

const LOOPBACK: readonly string[] = ["127.0.0.0/8", "::1/128"];

const addressEntry = (example: string): { readonly address: OptionSchema<Endpoint> } => ({
  address: required(address(), {
    description: "Where we listen: `unix:/path`, `host:port` or `[v6]:port`.",
    example,
  }),
});

const socketEntries = {
  owner: optional(text("a user's name or number"), { description: "Owner of a unix socket.", example: "postfix" }),
  group: optional(text("a group's name or number"), { description: "Group of a unix socket.", example: "postfix" }),
  permissions: optional(permissions(), {
    description: "Mode of a unix socket, in octal: `0660`, `660` and `0o660` are the same, quoted or not.",
    example: '"0660"',
  }),
};

const limitEntries = {
  max_connections: withDefault(count(1, 1_000_000), "10000", { description: "Connections at once." }),
  max_connections_per_address: withDefault(count(1, 1_000_000), "10000", {
    description:
      "Connections at once from one client address; not counted on unix sockets. As many as `max_connections`, " +
      "because all mail of one Postfix comes from one address.",
  }),
};

const servedNames = named("name on the wire", text("a table's name"), (name) =>
  /[\s:]/.test(name) || name === "" ? "a name on the wire has no blanks and no colon" : undefined,
);

const tableEntries = {
  tables: optional(servedNames, {
    description: "Tables served, by the name that the client asks for. Without it, each table under its own name.",
    example: "{ alias: aliases, transport: transports }",
  }),
};

const headerName = (): OptionSchema<string> =>
  scalar("a header's name", (given) =>
    /^[\w-]+$/.test(given) && !/^auth-/i.test(given)
      ? ok(given)
      : bad(`expected the name of a header such as X-Auth-Key, and none of nginx's own, got "${given}"`),
  );

const separator = (): OptionSchema<string> =>
  scalar("text", (given) => (given.includes("@") ? bad('"@" separates something else') : ok(given)));

const lmtp = defineListener({
  description: "Takes mail for the backends.",
  example: "unix:/run/mailshunt/lmtp",
  entries: {
    trusted_networks: withDefault(list(network(), "[10.0.0.0/8]"), () => LOOPBACK, {
      description:
        "Networks whose XFORWARD we take, and pass on. Clients of a unix socket are always trusted. `[]` trusts nobody over TCP.",
      defaultText: '[127.0.0.0/8, "::1/128"]',
    }),
  },
  toOptions: (base, given): LmtpListener => ({ ...base, protocol: "lmtp", trustedNetworks: given.trusted_networks }),
});

const socketmap = defineListener({
  description:
    "Answers Postfix (and Sendmail): `socketmap:unix:/path:NAME` or `socketmap:inet:host:port:NAME`. No authentication: " +
    "see to it that only your servers reach it.",
  example: "unix:/var/spool/postfix/mailshunt/socketmap",
  entries: tableEntries,
  toOptions: (base, given): SocketmapListener => ({ ...base, protocol: "socketmap", tables: given.tables }),
});

const dict = defineListener({
  description: "Answers Dovecot 2.2 to 2.4: `proxy:/path:NAME`. Dovecot connects to unix sockets only.",
  example: "unix:/run/mailshunt/dict",
  entries: {
    ...tableEntries,
    keys: withDefault(choice(DICT_KEY_STYLES), "podop", {
      description:
        "What a table is asked for Dovecot's keys. `podop`: `shared/x` is `x`, and `priv/x` of user u is `x/u`. " +
        "`path`: `shared/x` is `shared/x`, and `priv/x` of user u is `priv/u/x`, which no shared key can be; " +
        "better where users write, as with METADATA.",
    }),
  },
  toOptions: (base, given): DictListener => ({
    ...base,
    protocol: "dict",
    tables: given.tables,
    keys: given.keys,
  }),
});

const tcpTable = defineListener({
  description: "Answers Postfix: `tcp:host:port`. One table, as no name goes over the wire.",
  example: "127.0.0.1:2501",
  entries: { table: required(text("a table's name"), { description: "The table served.", example: "users" }) },
  toOptions: (base, given): TcpTableListener => ({ ...base, protocol: "tcp-table", table: given.table }),
});

/** Where commands look for the daemon. */
export const DEFAULT_ADMIN_ADDRESS = "unix:/run/mailshunt/admin";

const admin = defineListener({
  description:
    "The admin API, metrics and health, over HTTP: what the commands speak with. Whoever may connect may do everything, so a " +
    "unix socket has the mode 0600 unless `permissions` says otherwise, and over TCP a `token` is asked for.",
  example: DEFAULT_ADMIN_ADDRESS,
  entries: {
    token: optional(secretText(), {
      description: "Bearer token that clients must send. Needed over TCP, not allowed on a unix socket.",
      example: "{ file: /etc/mailshunt/admin.token }",
    }),
  },
  toOptions: (base, given): AdminListener => ({
    ...base,
    protocol: "admin",
    token: given.token,
    permissions: base.permissions ?? (base.address.kind === "unix" ? 0o600 : undefined),
  }),
});

const authHttp = defineListener({
  description:
    "Tells the mail proxy of nginx (`auth_http`) in which store a user's IMAP, POP3 or submission goes. It routes and nothing else: passwords " +
    "are checked by the store, to which nginx hands them on.",
  example: "127.0.0.1:8143",
  entries: {
    secret: required(secretText(), {
      description:
        "What nginx must send, so that nobody else can ask: the text itself, `{ file: /path }` or `{ env: NAME }`. In nginx `auth_http_header X-Auth-Key …;`.",
      example: "{ file: /etc/mailshunt/nginx.secret }",
    }),
    header: withDefault(headerName(), "X-Auth-Key", { description: "Name of the header in which nginx sends it." }),
    master_separator: withDefault(separator(), "*", {
      description:
        'In login names, what ends the user whose mailbox it is, as in `ada*admin`, where an administrator logs in; `""` for none. ' +
        "The name goes on to the store unchanged.",
      defaultText: '"*"',
    }),
  },
  toOptions: (base, given): AuthHttpListener => ({
    ...base,
    protocol: "auth-http",
    secret: given.secret,
    header: given.header.toLowerCase(),
    masterSeparator: given.master_separator,
  }),
});

interface ListenerVariant {
  readonly description: string;
  readonly schema: OptionSchema<unknown>;
  readonly toOptions: (section: unknown) => ListenerOptions;
}

type BaseSection = SectionOutput<ReturnType<typeof addressEntry> & typeof socketEntries & typeof limitEntries>;

function defineListener<const Entries extends SectionEntries>(parts: {
  readonly description: string;
  /** An address, for the sample. */
  readonly example: string;
  readonly entries: Entries;
  readonly toOptions: (base: ListenerBase, section: SectionOutput<Entries>) => ListenerOptions;
}): ListenerVariant {
  return {
    description: parts.description,
    schema: section<SectionEntries>({
      ...addressEntry(parts.example),
      ...socketEntries,
      ...parts.entries,
      ...limitEntries,
    }),
    toOptions: (given) => parts.toOptions(toBase(given as BaseSection), given as SectionOutput<Entries>),
  };
}

const toBase = (given: BaseSection): ListenerBase => ({
  address: given.address,
  owner: given.owner,
  group: given.group,
  permissions: given.permissions,
  maxConnections: given.max_connections,
  maxConnectionsPerAddress: given.max_connections_per_address,
});

const LISTENERS: ReadonlyMap<string, ListenerVariant> & Variants = new Map([
  ["lmtp", lmtp],
  ["socketmap", socketmap],
  ["dict", dict],
  ["tcp-table", tcpTable],
  ["admin", admin],
  ["auth-http", authHttp],
]);

export const listenerSchema = variant("protocol", "protocol", LISTENERS, (word, given): ListenerOptions => {
  const chosen = LISTENERS.get(word);
  if (chosen === undefined) throw new Error(`no listener speaks ${word}`);
  return chosen.toOptions(given);
});
