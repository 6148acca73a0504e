import type { DictListener } from "../options.ts";

/**
 * How Dovecot's keys and a table's translate into each other. Dovecot's begin with `shared/`, or with `priv/` and mean
 * something of one user.
 */
export interface DictKeys {
  toTable(dictKey: string, user: string): string;
  /** What the table's keys begin with that an iteration of `path` may yield. */
  prefixOf(path: string, user: string): string;
  /** Undefined for a key that `path` and `user` do not reach. */
  fromTable(tableKey: string, path: string, user: string): string | undefined;
  /** As `fromTable`, for sources that list names as Dovecot knows them, without their user. */
  fromListedName(name: string, path: string, user: string): string | undefined;
}

const SHARED = "shared/";
const PRIVATE = "priv/";

/** `shared/x` is `x`, `priv/x` of user u is `x/u`: what podop asks its URLs for. */
const podop: DictKeys = {
  toTable: (key, user) => (key.startsWith(PRIVATE) ? `${key.slice(PRIVATE.length)}/${user}` : key.slice(SHARED.length)),
  prefixOf: (path) => path.slice(path.indexOf("/") + 1),
  fromTable(key, path, user) {
    if (!path.startsWith(PRIVATE)) return SHARED + key;
    const ending = `/${user}`;
    return key.endsWith(ending) ? PRIVATE + key.slice(0, -ending.length) : undefined;
  },
  fromListedName: (name, path) => (path.startsWith(PRIVATE) ? PRIVATE : SHARED) + name,
};

/** `shared/x` stays, `priv/x` of user u is `priv/u/x`: no key of one user can be another's, or everybody's. */
const path: DictKeys = {
  toTable: (key, user) => (key.startsWith(PRIVATE) ? `${ownedBy(user)}${key.slice(PRIVATE.length)}` : key),
  prefixOf: (given, user) => path.toTable(given, user),
  fromTable(key, given, user) {
    if (!given.startsWith(PRIVATE)) return key;
    const owned = ownedBy(user);
    return key.startsWith(owned) ? PRIVATE + key.slice(owned.length) : undefined;
  },
  fromListedName: (name, given, user) => path.fromTable(name, given, user),
};

/** Whatever a user is called, the name is one step of the path. */
const ownedBy = (user: string): string => `${PRIVATE}${user.replaceAll("%", "%25").replaceAll("/", "%2F")}/`;

export const DICT_KEYS: Readonly<Record<DictListener["keys"], DictKeys>> = { podop, path };
