import * as v from "valibot";
import { list, named, optional, section, withDefault } from "../core/option-schema.ts";
import type { OptionSchema, SectionOutput } from "../core/option-schema.ts";
import { absolutePath, count, duration, flag, scalar, text } from "../core/option-values.ts";
import { bad, ok } from "../core/units.ts";
import { describeTemplateFault } from "./commands/placeholders.ts";
import { presetSchema, READY_PRESETS } from "./commands/preset-options.ts";
import type { Preset } from "./commands/preset.ts";

export interface MovesOptions {
  /** Those of the configuration, and the ready ones. */
  readonly presets: ReadonlyMap<string, Preset>;
  readonly defaultPreset: string | undefined;
  readonly parallel: number;
  readonly perBackend: number;
  readonly roundsUntilMs: number;
  readonly maxRounds: number;
  readonly lockGraceMs: number;
  readonly sessionsTimeoutMs: number;
  /** What stands for the user in RCPT, with `{user}` in it. */
  readonly address: string;
  /** What stands for the user in IMAP. */
  readonly login: string;
  readonly masterSeparator: string;
  readonly verify: VerifyOptions;
  readonly folder: string;
}

export interface VerifyOptions {
  readonly isOn: boolean;
  readonly ignoreFolders: readonly string[];
  readonly ignoreFlags: readonly string[];
  readonly ignoreSizes: boolean;
  readonly verifiesCertificates: boolean;
  /** For each step of an IMAP connection, in ms. */
  readonly timeoutMs: number;
}

const userTemplate = (): OptionSchema<string> =>
  scalar("text with `{user}`", (given) => {
    const fault = describeTemplateFault(given, ["user"]);
    if (fault !== undefined) return bad(fault);
    return given.includes("{user}") ? ok(given) : bad(`expected text with {user} in it, got "${given}"`);
  });

const lockEntries = {
  grace: withDefault(duration(0), "2s", {
    description: "How long after a login was let through its session must be at the store, where it can be ended.",
  }),
  sessions_timeout: withDefault(duration(0), "20s", {
    description: "How long sessions at the old store may take to end, where a preset's `sessions` command shows them.",
  }),
};

const verifyEntries = {
  enabled: withDefault(flag(), "true", {
    description:
      "Compares both mailboxes over IMAP before the switch. Needs `imap` with a `master_user` at both backends.",
  }),
  ignore_folders: withDefault(list(text(), "[Trash, Spam]"), () => [], {
    description: "Folders that are not compared, with those below them; levels are separated by `/`.",
    example: "[Trash, Lists/Old]",
    defaultText: "[]",
  }),
  ignore_flags: withDefault(list(text(), "[$Junk]"), () => [], {
    description: "Flags that are not compared, because one of the stores does not keep them. `\\Recent` never is.",
    example: '["$Junk", "$NotJunk"]',
    defaultText: "[]",
  }),
  check_certificates: withDefault(flag(), "true", {
    description:
      "Refuses a store whose certificate is not trusted, or is another host's: the master password goes there.",
  }),
  timeout: withDefault(duration(1000), "5m", { description: "For each answer of a store." }),
  ignore_sizes: withDefault(flag(), "false", {
    description: "Does not compare the sizes of messages, for stores that count them differently.",
  }),
};

const emptySection = (): ReadonlyMap<string, unknown> => new Map();

const checkPresetName = (name: string): string | undefined =>
  name === "" || /\p{Cc}/u.test(name) ? "a preset's name is text without control characters" : undefined;

const movesEntries = {
  preset: optional(text(), {
    description: "The preset of moves that name none; without it the only one that is configured.",
    example: "to-new",
  }),
  presets: withDefault(named("preset name", presetSchema, checkPresetName), emptySection, {
    description:
      "By which commands mailboxes are copied. `imapsync`, `doveadm` and `mbsync` are there without being configured.",
    example: "to-new",
    defaultText: "",
  }),
  parallel: withDefault(count(1, 10_000), "10", { description: "Moves under way at once." }),
  per_backend: withDefault(count(1, 10_000), "10", { description: "Moves under way at once from or to one backend." }),
  rounds_until: withDefault(duration(0), "10s", {
    description:
      "Pre-syncs are repeated until one took less: then the final one, while the user is held, will not take long.",
  }),
  max_rounds: withDefault(count(1, 1_000), "5", { description: "Pre-syncs at most." }),
  lock: withDefault(section(lockEntries), emptySection, {
    description: "How a user is kept out while the mailbox moves.",
    defaultText: "",
  }),
  address: withDefault(userTemplate(), "{user}", {
    description: "The address by which the new store is asked whether it takes mail for the user.",
    example: "{user}@example.com",
  }),
  login: withDefault(userTemplate(), "{user}", {
    description: "The user's login name in IMAP.",
    example: "{user}@example.com",
  }),
  master_separator: withDefault(text(), "*", {
    description:
      "Stands between login and master user for tools that cannot tell the store both (Dovecot's `auth_master_user_separator`).",
    defaultText: '"*"',
  }),
  verify: withDefault(section(verifyEntries), emptySection, {
    description: "The comparison of both mailboxes.",
    defaultText: "",
  }),
  folder: withDefault(absolutePath(), "/var/lib/mailshunt/moves", {
    description: "Folder for logs, reports and scratch files of moves. It is created where it is missing.",
  }),
};

export const movesSchema = section(movesEntries);

export function toMovesOptions(given: SectionOutput<typeof movesEntries>): MovesOptions {
  const presets = new Map(READY_PRESETS.map((name) => [name as string, readyPreset(name)]));
  for (const [name, preset] of given.presets) presets.set(name, preset);
  const [only, ...others] = given.presets.keys();
  return {
    presets,
    defaultPreset: given.preset ?? (others.length === 0 ? only : undefined),
    parallel: given.parallel,
    perBackend: given.per_backend,
    roundsUntilMs: given.rounds_until,
    maxRounds: given.max_rounds,
    lockGraceMs: given.lock.grace,
    sessionsTimeoutMs: given.lock.sessions_timeout,
    address: given.address,
    login: given.login,
    masterSeparator: given.master_separator,
    verify: {
      isOn: given.verify.enabled,
      ignoreFolders: given.verify.ignore_folders,
      ignoreFlags: given.verify.ignore_flags,
      ignoreSizes: given.verify.ignore_sizes,
      verifiesCertificates: given.verify.check_certificates,
      timeoutMs: given.verify.timeout,
    },
    folder: given.folder,
  };
}

const readyPreset = (type: string): Preset => v.parse(presetSchema, new Map([["type", type]]));
