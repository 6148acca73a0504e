import type { SyncKind } from "../steps/act.ts";
import type { CommandKind } from "../tools.ts";

/** By which commands mailboxes are moved, in one configured way. All words and files are templates. Survives structured cloning. */
export type Preset = PresetType & {
  readonly kick: readonly string[] | undefined;
  /** Prints a line for each session that is open. */
  readonly sessions: readonly string[] | undefined;
  readonly lock: readonly string[] | undefined;
  readonly unlock: readonly string[] | undefined;
  /** For a sync, in ms. */
  readonly timeoutMs: number;
  /** For every other command, in ms. */
  readonly shortTimeoutMs: number;
  readonly retries: number;
};

export type PresetType =
  | { readonly type: "imapsync" | "mbsync"; readonly program: string; readonly extra: readonly string[] }
  | {
      readonly type: "doveadm";
      readonly program: string;
      readonly extra: readonly string[];
      /** Of the new store's Dovecot. */
      readonly config: string;
    }
  | { readonly type: "command"; readonly preSync: readonly string[]; readonly finalSync: readonly string[] };

export type Tls = "none" | "starttls" | "implicit";

export interface TlsOfSides {
  readonly from: Tls;
  readonly to: Tls;
}

/** The sync's words: it makes the target equal to the source, and does nothing to the source. None: no sync. */
export function syncWords(preset: PresetType, which: SyncKind, tls: TlsOfSides): readonly string[] {
  switch (preset.type) {
    case "imapsync":
      return imapsyncWords(preset.program, preset.extra, tls);
    case "doveadm":
      return doveadmWords(preset.program, ["backup"], preset.extra);
    case "mbsync":
      return mbsyncWords(preset.program, preset.extra);
    case "command":
      return which === "pre-sync" ? preset.preSync : preset.finalSync;
  }
}

export function hasCommand(preset: Preset, what: CommandKind): boolean {
  const words = what === "pre-sync" || what === "final-sync" ? syncWords(preset, what, NO_TLS) : preset[what];
  return words !== undefined && words.length > 0;
}

/** Whether there are words does not depend on it. */
const NO_TLS: TlsOfSides = { from: "none", to: "none" };

export interface Repair {
  /** With which the sync has ended. */
  readonly exitCode: number;
  readonly words: readonly string[];
}

/**
 * What makes a sync work again, when it is run once before it; like the sync it writes to the new store alone.
 *
 * Where the new INBOX has come into being by itself, by a login or in a backup that was killed, it has an id of its own. Then
 * `doveadm backup` (2.3.19) would have to delete it, and ends with 65 each time: "INBOX can't be deleted". `doveadm sync -1`
 * gives it the right id, unless it has had mail of its own. It deletes nothing there; the backup after it does.
 */
export function repairOf(preset: PresetType): Repair | undefined {
  switch (preset.type) {
    case "doveadm":
      return { exitCode: DATA_ERROR, words: doveadmWords(preset.program, ["sync", "-1"], preset.extra) };
    case "imapsync":
    case "mbsync":
    case "command":
      return undefined;
  }
}

/** Files that are written into the scratch folder before each command, by name. */
export function presetFiles(preset: PresetType, tls: TlsOfSides): ReadonlyMap<string, string> {
  switch (preset.type) {
    case "doveadm":
      return new Map([["dovecot.conf", dovecotConfig(preset.config, tls)]]);
    case "mbsync":
      return new Map([["mbsyncrc", mbsyncConfig(tls)]]);
    case "imapsync":
    case "command":
      return new Map();
  }
}

/** imapsync(1), between any two IMAP servers that let a master user in by SASL PLAIN. */
function imapsyncWords(program: string, extra: readonly string[], tls: TlsOfSides): readonly string[] {
  const side = (number: 1 | 2, name: "from" | "to"): readonly string[] => [
    `--host${number}`,
    `{${name}.imap.host}`,
    `--port${number}`,
    `{${name}.imap.port}`,
    ...IMAPSYNC_TLS[tls[name]].map((option) => `${option}${number}`),
    `--user${number}`,
    "{login}",
    `--authuser${number}`,
    `{${name}.master_user}`,
    `--authmech${number}`,
    "PLAIN",
    `--passfile${number}`,
    `{${name}.password_file}`,
  ];
  return [
    program,
    ...side(1, "from"),
    ...side(2, "to"),
    "--delete2",
    "--delete2folders",
    "--syncinternaldates",
    "--nofoldersizes",
    "--noreleasecheck",
    "--nolog",
    "--tmpdir",
    "{scratch}",
    "--pidfile",
    "{scratch}/imapsync.pid",
    ...extra,
  ];
}

const IMAPSYNC_TLS: Readonly<Record<Tls, readonly string[]>> = {
  none: ["--nossl", "--notls"],
  starttls: ["--nossl", "--tls"],
  implicit: ["--ssl"],
};

/** doveadm-backup(1) beside the new Dovecot, which pulls from the old store over IMAP: `-R`. */
const doveadmWords = (
  program: string,
  command: readonly ["backup"] | readonly ["sync", "-1"],
  extra: readonly string[],
): readonly string[] => [program, "-c", "{scratch}/dovecot.conf", ...command, ...extra, "-R", "-u", "{user}", "imapc:"];

/** EX_DATAERR of sysexits.h. */
const DATA_ERROR = 65;

const IMAPC_SSL: Readonly<Record<Tls, string>> = { none: "no", starttls: "starttls", implicit: "imaps" };

/** Keeps the password off the command line: Dovecot reads what stands behind "<". */
const dovecotConfig = (config: string, tls: TlsOfSides): string =>
  [
    `!include ${config}`,
    "imapc_host = {from.imap.host}",
    "imapc_port = {from.imap.port}",
    'imapc_user = "{login}"',
    'imapc_master_user = "{from.master_user}"',
    "imapc_password = <{from.password_file}",
    `imapc_ssl = ${IMAPC_SSL[tls.from]}`,
    "imapc_features = rfc822.size fetch-headers",
    "",
  ].join("\n");

const mbsyncWords = (program: string, extra: readonly string[]): readonly string[] => [
  program,
  "--config",
  "{scratch}/mbsyncrc",
  ...extra,
  "move",
];

const MBSYNC_TLS: Readonly<Record<Tls, string>> = { none: "None", starttls: "STARTTLS", implicit: "IMAPS" };

/** mbsync(1) of isync 1.4 and later. What it did is kept between the moves of a user, or the next one doubles everything. */
function mbsyncConfig(tls: TlsOfSides): string {
  const store = (name: "from" | "to"): readonly string[] => [
    `IMAPAccount ${name}`,
    `Host "{${name}.imap.host}"`,
    `Port {${name}.imap.port}`,
    `SSLType ${MBSYNC_TLS[tls[name]]}`,
    `User "{${name}.master_login}"`,
    `PassCmd "cat '{${name}.password_file}'"`,
    "",
    `IMAPStore ${name}`,
    `Account ${name}`,
    "",
  ];
  return [
    ...store("from"),
    ...store("to"),
    "Channel move",
    "Far :from:",
    "Near :to:",
    "Patterns *",
    "Sync Pull",
    "Create Near",
    "Remove Near",
    "Expunge Near",
    "CopyArrivalDate yes",
    `SyncState "{state}/"`,
    "",
  ].join("\n");
}
