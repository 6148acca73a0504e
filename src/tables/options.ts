import * as v from "valibot";
import { list, optional, section, withDefault } from "../core/option-schema.ts";
import type { OptionSchema, SectionEntries, SectionOutput } from "../core/option-schema.ts";
import { choice, count, duration, recipientDelimiter, scalar } from "../core/option-values.ts";
import { bad, formatDuration, ok } from "../core/units.ts";
import type { Parsed } from "../core/units.ts";

/**
 * `memory` answers from memory, once that is filled; `remote` asks somebody and may wait or fail;
 * `composite` asks other tables; `view` asks the router or the directory, and must never remember what they said.
 */
export type TableKind = "memory" | "remote" | "composite" | "view";

/** Forms of an address that a table may be asked with. */
export const KEY_FORMS = ["address", "localpart", "@domain", "domain"] as const;
export type KeyForm = (typeof KEY_FORMS)[number];

export interface KeyRules {
  readonly fold: "none" | "domain" | "all";
  /** Characters that end the user part of a local part; empty for none. */
  readonly recipientDelimiter: string;
  /** In the order in which they are asked. */
  readonly forms: readonly KeyForm[];
}

export interface ValueRules {
  /** Names of nested JSON members, outermost first; undefined takes the value as it is. */
  readonly jsonPath: readonly string[] | undefined;
  readonly template: string | undefined;
}

export interface CacheOptions {
  readonly ttlMs: number;
  readonly absentTtlMs: number;
  /** How long past its time a found answer stands in for a failed one, in ms. */
  readonly staleIfFailedMs: number;
  readonly maxEntries: number;
}

export interface GuardOptions {
  /** For a whole lookup, write or page of a list, waiting included, in ms. */
  readonly timeoutMs: number;
  readonly maxInFlight: number;
  readonly breaker: BreakerOptions;
}

export interface BreakerOptions {
  /** Failures of the source in a row after which it is let alone. */
  readonly failures: number;
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
}

/** What any table may have beside the keys of its type. */
export interface CommonOptions {
  readonly key: KeyRules | undefined;
  readonly value: ValueRules | undefined;
  readonly cache: CacheOptions | undefined;
  /** For remote tables. */
  readonly guard: GuardOptions | undefined;
}

/** None would make every key absent. */
const keyForms = (): OptionSchema<readonly KeyForm[]> =>
  v.pipe(
    list(choice(KEY_FORMS), "[address, localpart, '@domain', domain]"),
    v.check((forms) => forms.length > 0, "there must be one form at least: without it nothing would ever be found"),
  );

const keySchema = section({
  fold: withDefault(choice(["none", "domain", "all"]), "domain", {
    description:
      "What is lower-cased: nothing, the `domain` (what follows the last `@`; a key without one is left alone), or `all`.",
  }),
  recipient_delimiter: withDefault(recipientDelimiter(), "", {
    description:
      "Characters that begin an extension (`user1+lists@…`): each form is asked with it first, then without. None by default.",
    example: '"+"',
    defaultText: '""',
  }),
  try: withDefault(keyForms(), () => ["address"], {
    description:
      'Forms of an address, asked in order until one is found: `address`, `localpart`, `"@domain"`, `domain`. ' +
      "A key without `@` is asked as it is.",
    defaultText: "[address]",
    example: '[address, localpart, "@domain", domain]',
  }),
});

const valueSchema = section({
  json: optional(scalar("names of members joined by dots, such as quota.bytes", parseJsonPath), {
    description:
      "The value is JSON, of which this member is taken, such as `quota.bytes`. Where it is missing the lookup has failed; `null` is absent.",
    example: "mail.host",
  }),
  template: optional(scalar("text with placeholders", parseTemplate), {
    description: "What is answered instead: `{value}`, `{key}`, `{localpart}` and `{domain}` are put in.",
    example: '"lmtp:inet:{value}:24"',
  }),
});

function parseJsonPath(given: string): Parsed<string> {
  return given.split(".").includes("")
    ? bad(`expected names of members joined by dots, such as quota.bytes, got "${given}"`)
    : ok(given);
}

const TEMPLATE_WORDS: ReadonlySet<string> = new Set(["value", "key", "localpart", "domain"]);

function parseTemplate(given: string): Parsed<string> {
  if (given === "") return bad("the template is empty: every value would be");
  for (const [, word = ""] of given.matchAll(/\{([^{}]*)\}/g))
    if (!TEMPLATE_WORDS.has(word))
      return bad(`there is no placeholder "{${word}}": known are {value}, {key}, {localpart} and {domain}`);
  return ok(given);
}

const cacheSchema = section({
  ttl: withDefault(duration(0), "60s", { description: "How long a value found is good for." }),
  absent_ttl: withDefault(duration(0), "10s", { description: "How long it is remembered that there is none." }),
  stale_if_failed: withDefault(duration(0), "0s", {
    description: "How much longer a value found is answered while the source fails. Never stands in for absent ones.",
    example: "1h",
  }),
  max_entries: withDefault(count(1, 100_000_000), "100000", {
    description: "Answers kept; the one not asked for the longest time goes first.",
  }),
});

const breakerSection = section({
  failures: withDefault(count(1, 1_000_000), "5", {
    description: "Failures of the source in a row after which lookups fail at once.",
  }),
  min_backoff: withDefault(duration(1), "1s", {
    description: "How long at first; then one lookup is let through, and the time doubles when it fails too.",
  }),
  max_backoff: withDefault(duration(1), "30s", { description: "How long at most." }),
});

const breakerSchema: typeof breakerSection = v.pipe(
  breakerSection,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { min_backoff: min, max_backoff: max } = dataset.value;
    if (min > max)
      addIssue({ message: `min_backoff is ${formatDuration(min)}, longer than max_backoff, ${formatDuration(max)}` });
  }),
);

const keyEntries = {
  key: optional(keySchema, {
    description:
      "How the key of a listener or a command becomes what the table is asked. Postfix sends full addresses alone. The router has rules of its own.",
  }),
  value: optional(valueSchema, { description: "What is made of a value before it is answered." }),
} satisfies SectionEntries;

const cacheEntries = {
  cache: optional(cacheSchema, {
    description:
      "Remembers answers, and asks once where many ask for the same key at the same time. Writing through mailshunt and a reload make it forget.",
  }),
} satisfies SectionEntries;

const guardEntries = {
  timeout: withDefault(duration(1), "5s", {
    description: "For a lookup, waiting included; then it has failed and the client tries again later.",
  }),
  max_in_flight: withDefault(count(1, 100_000), "100", { description: "Lookups under way at once; others wait." }),
  breaker: withDefault(breakerSchema, () => new Map(), {
    description: "Lets a source alone that is down, so that nobody waits for it and it can come back.",
    defaultText: "",
  }),
} satisfies SectionEntries;

interface CommonEntries {
  readonly entries: SectionEntries;
  /** Title of the section that describes them. */
  readonly title: string;
  readonly toOptions: (section: Readonly<Record<string, unknown>>) => CommonOptions;
}

export function entriesForKind(kind: TableKind): CommonEntries {
  switch (kind) {
    case "memory":
    case "view":
      return { entries: keyEntries, title: COMMON_OPTIONS[0].title, toOptions };
    case "composite":
      return { entries: { ...keyEntries, ...cacheEntries }, title: COMMON_OPTIONS[1].title, toOptions };
    case "remote":
      return {
        entries: { ...keyEntries, ...cacheEntries, ...guardEntries },
        title: COMMON_OPTIONS[2].title,
        toOptions,
      };
  }
}

/** Why a key that other kinds have means nothing here. */
export function explainMissing(key: string, kind: TableKind): string | undefined {
  const others: SectionEntries = { ...cacheEntries, ...guardEntries };
  if (!Object.hasOwn(others, key) || Object.hasOwn(entriesForKind(kind).entries, key)) return undefined;
  switch (kind) {
    case "memory":
      return `"${key}" means nothing here: this table answers from memory`;
    case "composite":
      return `"${key}" means nothing here: this table asks others, which have their own`;
    case "view":
      return `"${key}" means nothing here: every answer is made anew, and tables that the router asks have their own`;
    case "remote":
      return undefined;
  }
}

/** The options that tables share, as the reference page describes them: each kind has those of the kinds before it, too. */
export const COMMON_OPTIONS = [
  { title: "Options of every table", entries: keyEntries },
  { title: "Options of tables that ask others", entries: cacheEntries },
  { title: "Options of tables that ask over a network or a database", entries: guardEntries },
] as const;

type Given = Partial<SectionOutput<typeof keyEntries & typeof cacheEntries & typeof guardEntries>>;

function toOptions(section: Readonly<Record<string, unknown>>): CommonOptions {
  const { key, value, cache, timeout, max_in_flight: maxInFlight, breaker } = section as Given;
  return {
    key: key && { fold: key.fold, recipientDelimiter: key.recipient_delimiter, forms: key.try },
    value: value && { jsonPath: value.json?.split("."), template: value.template },
    cache: cache && {
      ttlMs: cache.ttl,
      absentTtlMs: cache.absent_ttl,
      staleIfFailedMs: cache.stale_if_failed,
      maxEntries: cache.max_entries,
    },
    guard:
      timeout === undefined || maxInFlight === undefined || breaker === undefined
        ? undefined
        : {
            timeoutMs: timeout,
            maxInFlight,
            breaker: {
              failures: breaker.failures,
              minBackoffMs: breaker.min_backoff,
              maxBackoffMs: breaker.max_backoff,
            },
          },
  };
}

/** For tables that were not configured in a file: as if nothing had been said. */
export const DEFAULT_GUARD: GuardOptions = {
  timeoutMs: 5_000,
  maxInFlight: 100,
  breaker: { failures: 5, minBackoffMs: 1_000, maxBackoffMs: 30_000 },
};
