import type { BackendOptions } from "../../backends/options.ts";
import { didYouMean } from "../../core/closest-name.ts";
import type { Clock } from "../../core/clock.ts";
import type { SyncKind } from "../steps/act.ts";
import { ActFailed } from "../tools.ts";
import type { MoveCommands, MoveSubject, Supervised } from "../tools.ts";
import type { CommandGroup } from "./command-group.ts";
import { namesIn, substitute, substituteWord } from "./placeholders.ts";
import type { PlaceholderValues } from "./placeholders.ts";
import { hasCommand, presetFiles, repairOf, syncWords } from "./preset.ts";
import type { Preset, TlsOfSides } from "./preset.ts";
import { stopGroup } from "./process-group.ts";
import { ScratchFolders } from "./scratch.ts";
import { CommandFailed, runWithRetries } from "./supervisor.ts";
import type { CommandEnd } from "./supervisor.ts";

export interface CommandOptions {
  readonly presets: ReadonlyMap<string, Preset>;
  /** The user's login name, with `{user}` in it. */
  readonly login: string;
  readonly masterSeparator: string;
  readonly folder: string;
}

export interface CommandParts {
  /** As configured now. */
  readonly options: () => CommandOptions;
  readonly backends: () => ReadonlyMap<string, BackendOptions>;
  readonly clock: Clock;
}

/** Stopping what a daemon before us left: it was not asked to end, and may have been at it for hours. In ms. */
const STOP = { termMs: 3_000, killMs: 10_000 } as const;

/** What would end or change a quoted word in the files that ready presets write. */
// oxlint-disable-next-line no-control-regex
const UNFIT_FOR_FILES = /[\u0000-\u001f\u007f"\\]/;

/** The same for a word that a shell reads there: the path in `PassCmd`. */
const UNFIT_FOR_SHELLS = /'/;

/** Dovecot puts something in the place of what stands behind it: `%u` would be another user. */
const UNFIT_FOR_DOVECOT = /%/;

/** By which `doveadm kick` says that there was no session: EX_NOHOST, seen with Dovecot 2.3.19. */
const NOBODY_KICKED = 68;

interface Values {
  readonly values: PlaceholderValues;
  readonly secrets: ReadonlyMap<string, string>;
  readonly tls: TlsOfSides;
}

/** The commands of presets as child processes. */
export function createMoveCommands({ options, backends, clock }: CommandParts): MoveCommands {
  const folders = (): ScratchFolders => new ScratchFolders(options().folder);

  function presetOf({ preset: name }: MoveSubject): Preset {
    const { presets } = options();
    const preset = presets.get(name);
    if (preset === undefined) throw new ActFailed(`there is no preset "${name}"${didYouMean(name, presets.keys())}`);
    return preset;
  }

  function backendOf(name: string): BackendOptions {
    const backend = backends().get(name);
    if (backend === undefined) throw new ActFailed(`there is no backend "${name}"`);
    return backend;
  }

  /** @throws ActFailed */
  function valuesFor(subject: MoveSubject): Values {
    const { login, masterSeparator } = options();
    const scratch = folders();
    const { user, moveId, from, to } = subject;
    const secrets = new Map<string, string>();
    const loginName = login.replaceAll("{user}", () => user);
    const side = (name: "from" | "to"): Record<string, string | undefined> => {
      const { imap } = backendOf(name === "from" ? from : to);
      const master = imap?.master;
      if (master !== undefined) secrets.set(`${name}.password`, master.password);
      return {
        [`${name}.name`]: name === "from" ? from : to,
        [`${name}.imap`]: imap && `${bracketed(imap.address.host)}:${imap.address.port}`,
        [`${name}.imap.host`]: imap?.address.host,
        [`${name}.imap.port`]: imap && String(imap.address.port),
        [`${name}.imap.tls`]: imap?.tls,
        [`${name}.master_user`]: master?.user,
        [`${name}.master_login`]: master && `${loginName}${masterSeparator}${master.user}`,
        [`${name}.password_file`]: master && `${scratch.scratchPath(moveId)}/${name}.password`,
      };
    };
    const values = {
      user,
      login: loginName,
      move: moveId,
      scratch: scratch.scratchPath(moveId),
      state: scratch.statePath(user, from, to),
      ...side("from"),
      ...side("to"),
    } as PlaceholderValues;
    const tls = { from: backendOf(from).imap?.tls ?? "none", to: backendOf(to).imap?.tls ?? "none" };
    return { values, secrets, tls };
  }

  interface Wanted {
    readonly templates: readonly string[] | undefined;
    readonly isSync: boolean;
    readonly isCaptured: boolean;
    readonly fineCodes?: readonly number[];
    /** After which it is not tried again. */
    readonly hopelessCode?: number | undefined;
  }

  /** @returns undefined where there is no such command */
  async function run(
    choose: (preset: Preset, tls: TlsOfSides) => Wanted,
    subject: MoveSubject,
    supervised: Supervised,
  ): Promise<CommandEnd | undefined> {
    const preset = presetOf(subject);
    const { values, secrets, tls } = valuesFor(subject);
    const { templates = [], isSync, isCaptured, fineCodes = [], hopelessCode } = choose(preset, tls);
    if (templates.length === 0) return undefined;
    const words = templates.map((template) => substituteWord(template, values));
    const scratch = folders();
    const { moveId } = subject;
    await scratch.create(scratch.scratchPath(moveId), values.state ?? "");
    for (const [name, secret] of secrets) await scratch.write(moveId, name, secret);
    if (isSync)
      for (const [name, template] of presetFiles(preset, tls)) {
        const unfit = namesIn(template).find((name) => isUnfit(name, substitute(`{${name}}`, values), preset));
        if (unfit !== undefined)
          throw new ActFailed(`the value of {${unfit}} cannot be written into a configuration file`);
        await scratch.write(moveId, name, substitute(template, values));
      }
    const { timeoutMs, shortTimeoutMs, retries } = preset;
    const command = {
      words,
      folder: scratch.scratchPath(moveId),
      logPath: scratch.logPath(moveId),
      isCaptured,
      fineCodes,
      timeoutMs: isSync ? timeoutMs : shortTimeoutMs,
    };
    return runWithRetries(command, retries, supervised, clock, hopelessCode);
  }

  const short = (templates: readonly string[] | undefined, isCaptured = false): Wanted => ({
    templates,
    isSync: false,
    isCaptured,
  });

  return {
    faultOf(from, to, preset) {
      const subject = { moveId: "none", user: "user", from, to, preset };
      try {
        const chosen = presetOf(subject);
        const { values, tls } = valuesFor(subject);
        const files = [...presetFiles(chosen, tls).values()];
        const lists = [chosen.kick, chosen.sessions, chosen.lock, chosen.unlock].map((words) => words ?? []);
        const syncs = [syncWords(chosen, "pre-sync", tls), syncWords(chosen, "final-sync", tls)];
        syncs.push(repairOf(chosen)?.words ?? []);
        for (const template of [...files, ...lists.flat(), ...syncs.flat()]) substitute(template, values);
        return folders().faultOf();
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    has(what, { preset: name }) {
      const preset = options().presets.get(name);
      return preset === undefined || hasCommand(preset, what);
    },
    async sync(which: SyncKind, subject, supervised) {
      // Never while the user is held: what the final sync makes of a mailbox that had to be repaired, nobody has seen.
      const repair = which === "pre-sync" ? repairOf(presetOf(subject)) : undefined;
      const sync = (hopelessCode?: number): Promise<unknown> =>
        run(
          (preset, tls) => ({
            templates: syncWords(preset, which, tls),
            isSync: true,
            isCaptured: false,
            hopelessCode,
          }),
          subject,
          supervised,
        );
      try {
        await sync(repair?.exitCode);
      } catch (error) {
        const isRepairable = error instanceof CommandFailed && error.exitCode === repair?.exitCode;
        if (repair === undefined || !isRepairable || supervised.signal.aborted) throw error;
        await run(() => ({ templates: repair.words, isSync: true, isCaptured: false }), subject, supervised);
        await sync();
      }
    },
    async lock(subject, supervised) {
      await run(({ lock }) => short(lock), subject, supervised);
    },
    async unlock(subject, supervised) {
      await run(({ unlock }) => short(unlock), subject, supervised);
    },
    async kick(subject, supervised) {
      const choose = ({ kick }: Preset): Wanted => ({ ...short(kick), fineCodes: [NOBODY_KICKED] });
      return (await run(choose, subject, supervised)) !== undefined;
    },
    async countSessions(subject, supervised) {
      const asked = await run(({ sessions }) => short(sessions, true), subject, supervised);
      return asked?.output.split("\n").filter((line) => line.trim() !== "").length;
    },
    async stop(command: CommandGroup) {
      const fate = await stopGroup(command, STOP, clock);
      switch (fate.kind) {
        case "gone":
          return true;
        case "alive":
          return false;
        case "unknown":
          throw new ActFailed(`${fate.why}: end it by hand`);
      }
    },
    forget: (moveId) => folders().remove(moveId),
  };
}

const isUnfit = (name: string, value: string, { type }: Preset): boolean =>
  UNFIT_FOR_FILES.test(value) ||
  (name.endsWith(".password_file") && UNFIT_FOR_SHELLS.test(value)) ||
  (type === "doveadm" && UNFIT_FOR_DOVECOT.test(value));

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);
