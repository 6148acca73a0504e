import { list, optional, section, variant, withDefault } from "../../core/option-schema.ts";
import type { OptionSchema, SectionEntries, SectionOutput, Variant } from "../../core/option-schema.ts";
import { absolutePath, count, duration, scalar, text } from "../../core/option-values.ts";
import { bad, ok } from "../../core/units.ts";
import { describeTemplateFault } from "./placeholders.ts";
import type { Preset, PresetType } from "./preset.ts";

const word = (): OptionSchema<string> =>
  scalar("text with placeholders", (given) => {
    const fault = describeTemplateFault(given);
    return fault === undefined ? ok(given) : bad(fault);
  });

const words = (example: string): OptionSchema<readonly string[]> => list(word(), example);

const sharedEntries = {
  kick: optional(words('[doveadm, kick, "{user}"]'), {
    description:
      "Ends the user's sessions at the old store: after the lock, again when no login can be on its way any more, and after the switch. " +
      "Exit code 68, by which doveadm says that there was none, is as good as 0.",
    example: '[ssh, old.example, doveadm, kick, "{user}"]',
  }),
  sessions: optional(words('[doveadm, -f, flow, who, -1, "{user}"]'), {
    description:
      "Prints a line for each of the user's sessions at the old store. There must be none before the final sync.",
    example: '[ssh, old.example, doveadm, -f, flow, who, -1, "{user}"]',
  }),
  lock: optional(words('[lock-user, "{user}"]'), {
    description: "Keeps the user out where users can log in past mailshunt. It has to be harmless to run it twice.",
    example: '[/usr/local/sbin/lock-user, "{user}"]',
  }),
  unlock: optional(words('[unlock-user, "{user}"]'), {
    description: "Lets the user in again; also runs where `lock` had failed.",
    example: '[/usr/local/sbin/unlock-user, "{user}"]',
  }),
  timeout: withDefault(duration(1000), "12h", { description: "For a sync." }),
  short_timeout: withDefault(duration(1000), "60s", { description: "For each of the other commands." }),
  retries: withDefault(count(0, 100), "2", {
    description: "How often a command that failed is tried again, 1 s later and then after twice as long each time.",
  }),
};

const extraArguments = optional(words("[--exclude, Spam]"), {
  description: "Further arguments.",
  example: "[--exclude, ^Spam$]",
});

const program = (name: string): OptionSchema<string> => withDefault(text(), name, { description: "Its name or path." });

const imapsyncEntries = { program: program("imapsync"), arguments: extraArguments, ...sharedEntries };
const mbsyncEntries = { program: program("mbsync"), arguments: extraArguments, ...sharedEntries };
const doveadmEntries = {
  program: program("doveadm"),
  config: withDefault(absolutePath(), "/etc/dovecot/dovecot.conf", {
    description: "Configuration of the new store's Dovecot, which runs on this machine.",
  }),
  kick_config: optional(absolutePath(), {
    description:
      "Configuration of the old store's Dovecot, where it runs on this machine: `kick` and `sessions` then ask it by themselves.",
    example: "/etc/dovecot-old/dovecot.conf",
  }),
  arguments: extraArguments,
  ...sharedEntries,
};
const commandEntries = {
  pre_sync: optional(words('[/usr/local/bin/copy-mailbox, "{user}"]'), {
    description:
      "Makes the new mailbox equal to the old one, and leaves the old one as it is. Without it: as `final_sync`.",
    example: '[/usr/local/bin/copy-mailbox, "{user}", "{from.name}", "{to.name}"]',
  }),
  final_sync: withDefault(words('[/usr/local/bin/copy-mailbox, "{user}"]'), () => [], {
    description:
      "The same, while the user is held. Words are handed over as they are, no shell reads them; none: no sync.",
    example: '[/usr/local/bin/copy-mailbox, "{user}", "{from.name}", "{to.name}"]',
    defaultText: "[]",
  }),
  ...sharedEntries,
};

type Shared = SectionOutput<typeof sharedEntries>;

const shared = (given: Shared): Omit<Preset, keyof PresetType> => ({
  kick: given.kick,
  sessions: given.sessions,
  lock: given.lock,
  unlock: given.unlock,
  timeoutMs: given.timeout,
  shortTimeoutMs: given.short_timeout,
  retries: given.retries,
});

function toPreset(type: string, given: unknown): Preset {
  switch (type) {
    case "imapsync":
    case "mbsync": {
      const options = given as SectionOutput<typeof imapsyncEntries>;
      return { type, program: options.program, extra: options.arguments ?? [], ...shared(options) };
    }
    case "doveadm": {
      const options = given as SectionOutput<typeof doveadmEntries>;
      const own = shared(options);
      const old = options.kick_config;
      const ask = (...rest: readonly string[]): readonly string[] | undefined =>
        old === undefined ? undefined : [options.program, "-c", old, ...rest];
      return {
        type,
        program: options.program,
        config: options.config,
        extra: options.arguments ?? [],
        ...own,
        kick: own.kick ?? ask("kick", "{user}"),
        sessions: own.sessions ?? ask("-f", "flow", "who", "-1", "{user}"),
      };
    }
    case "command": {
      const options = given as SectionOutput<typeof commandEntries>;
      const finalSync = options.final_sync;
      return { type, preSync: options.pre_sync ?? finalSync, finalSync, ...shared(options) };
    }
    default:
      throw new Error(`there is no preset type ${type}`);
  }
}

/** The others are described once for all. */
const notShared = (entries: SectionEntries): Pick<Variant, "own" | "shared"> => ({
  own: Object.keys(entries).filter((name) => !Object.hasOwn(sharedEntries, name)),
  shared: "Options of every preset",
});

const PRESET_TYPES: ReadonlyMap<string, Variant> = new Map<string, Variant>([
  [
    "imapsync",
    {
      description: "imapsync between any two IMAP servers. Both backends need `imap` with a `master_user`.",
      schema: section(imapsyncEntries),
      ...notShared(imapsyncEntries),
    },
  ],
  [
    "doveadm",
    {
      description:
        "`doveadm backup`, for a new store that is the Dovecot of this machine. The old backend needs `imap` with a `master_user`.",
      schema: section(doveadmEntries),
      ...notShared(doveadmEntries),
    },
  ],
  [
    "mbsync",
    {
      description:
        "mbsync (isync 1.4 or later) between two servers that know logins such as `user*master`, as Dovecot does. It adds a " +
        "header `X-TUID` to each message, so that sizes are not compared, and copies neither subscriptions nor keywords: see `ignore_flags`.",
      schema: section(mbsyncEntries),
      ...notShared(mbsyncEntries),
    },
  ],
  ["command", { description: "Commands of your own.", schema: section(commandEntries), ...notShared(commandEntries) }],
]);

export const presetSchema: OptionSchema<Preset> = variant("type", "preset type", PRESET_TYPES, toPreset);

/** Those that need no configuration, by their own names. */
export const READY_PRESETS = ["imapsync", "doveadm", "mbsync"] as const;
