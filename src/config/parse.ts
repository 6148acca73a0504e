import { closeSync, readFileSync } from "node:fs";
import { warnOfMissingAccounts } from "./accounts.ts";
import type { Config, ConfigFault } from "./config.ts";
import { hintAtOtherFile } from "./default-files.ts";
import type { DefaultFiles } from "./default-files.ts";
import { FaultCollector, wholeFileFault } from "./faults.ts";
import { translateLmtpProxy } from "./lmtp-proxy-format.ts";
import type { RawConfig } from "./lmtp-proxy-format.ts";
import { findSecrets } from "./mask.ts";
import { readOwnFormat, readTranslated } from "./own-format.ts";
import type { ReadSection } from "./own-format.ts";
import { warnOfMissingFiles } from "./missing-files.ts";
import { openFile } from "../core/open-file.ts";
import { makeParts } from "./parts.ts";
import type { Format } from "./parts.ts";
import { describeReadError } from "../core/read-error.ts";
import { composeYaml } from "../yaml/compose.ts";
import type { DuplicateKey } from "../yaml/composer.ts";
import { describeNode } from "../yaml/node.ts";
import type { MappingNode, YamlNode } from "../yaml/node.ts";
import { decodeSource } from "../yaml/source-text.ts";
import type { SourceText } from "../yaml/source-text.ts";
import { isTablePath, packTables } from "./pack-tables.ts";

export type ReadResult =
  | {
      readonly kind: "read";
      readonly config: Config;
      readonly warnings: readonly ConfigFault[];
      /** The same in the own format, for a file that was not. */
      readonly translation: RawConfig | undefined;
      /** What the file held; undefined where it is not at hand. */
      readonly contents: Uint8Array | undefined;
    }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] };

export interface ReadOptions {
  /** See `openFile`. */
  readonly takesPipe?: boolean;
  /** Read these bytes in place of the file's. */
  readonly contents?: Uint8Array | undefined;
  readonly defaultFiles?: DefaultFiles;
}

/** @throws only where we are at fault, never for what is wrong with the file */
export function readConfigFile(path: string, format: Format | undefined, options: ReadOptions = {}): ReadResult {
  const file = readSource(path, options);
  if (file.kind === "bad") return { kind: "faulty", faults: [file.fault] };
  const parsed = parseConfig(file.source, format);
  return parsed.kind === "read" ? { ...parsed, contents: file.contents } : parsed;
}

/** As `readConfigFile`, and warns of what this machine lacks. */
export async function checkConfigFile(path: string, format: Format | undefined): Promise<ReadResult> {
  const file = readSource(path, { takesPipe: true });
  if (file.kind === "bad") return { kind: "faulty", faults: [file.fault] };
  const examined = examine(file.source, format);
  const { root, faults } = examined;
  const found = format ?? (root?.kind === "mapping" ? detectFormat(root) : undefined);
  if (root !== undefined && found !== undefined) await warnOfMissingAccounts(root, found, faults);
  if (root !== undefined && found === "mailshunt") warnOfMissingFiles(root, faults);
  return conclude(file.source, examined);
}

export function parseConfig(source: SourceText, format: Format | undefined): ReadResult {
  return conclude(source, examine(source, format));
}

type SourceRead =
  | { readonly kind: "ok"; readonly source: SourceText; readonly contents: Uint8Array }
  | { readonly kind: "bad"; readonly fault: ConfigFault };

function readSource(path: string, { takesPipe = false, contents: given, defaultFiles }: ReadOptions): SourceRead {
  try {
    const contents = given === undefined ? readBytes(path, takesPipe) : Buffer.from(given);
    const decoded = decodeSource(path, contents);
    if (decoded.kind === "ok") return { ...decoded, contents };
    return { kind: "bad", fault: wholeFileFault(path, decoded.message, decoded.line) };
  } catch (error) {
    const hint = isMissing(error) ? hintAtOtherFile(path, defaultFiles) : "";
    return { kind: "bad", fault: wholeFileFault(path, `cannot read it: ${describeReadError(error)}${hint}`) };
  }
}

function readBytes(path: string, takesPipe: boolean): Buffer {
  const file = openFile(path, takesPipe);
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";

interface Examined {
  readonly root: YamlNode | undefined;
  readonly faults: FaultCollector;
  readonly read: ReadRoot | undefined;
}

function examine(source: SourceText, format: Format | undefined): Examined {
  const faults = new FaultCollector();
  const composed = composeYaml(source.text, isTablePath);
  for (const { offset, message } of composed.faults) faults.error(offset, message);
  const { root } = composed;
  let read: ReadRoot | undefined;
  if (root?.kind === "mapping") read = readRoot(root, format, composed.duplicates, faults);
  else if (!faults.hasErrors) faults.error(root?.offset ?? 0, `${describeRoot(root)}: ${FORMATS_EXPLAINED}`);
  return { root, faults, read };
}

function conclude(source: SourceText, { root, faults, read }: Examined): ReadResult {
  const list = faults.list(source, root === undefined ? [] : findSecrets(root));
  if (read === undefined || faults.hasErrors) return { kind: "faulty", faults: list };
  const config = makeParts({ path: source.path, format: read.format }, read.result);
  return { kind: "read", config, warnings: list, translation: read.translation, contents: undefined };
}

const FORMATS_EXPLAINED =
  'mailshunt\'s own format begins with "version: 1", that of lmtp-proxy has the keys "config", "backends" and "users"';

function describeRoot(root: YamlNode | undefined): string {
  if (root === undefined || (root.kind === "scalar" && root.text === "")) return "the file is empty";
  return `the file must be a mapping, this is ${describeNode(root)}`;
}

interface ReadRoot {
  readonly format: Format;
  readonly result: ReadSection;
  readonly translation: RawConfig | undefined;
}

function readRoot(
  root: MappingNode,
  wanted: Format | undefined,
  duplicates: readonly DuplicateKey[],
  faults: FaultCollector,
): ReadRoot | undefined {
  const format = wanted ?? detectFormat(root);
  if (format === undefined) {
    faults.error(root.offset, `this is no configuration that we know: ${FORMATS_EXPLAINED}`);
    return undefined;
  }
  if (format === "lmtp-proxy" && isOwnFormat(root)) {
    const message =
      'this is mailshunt\'s own format, which the command lmtp-proxy does not take: use "mailshunt serve -c"';
    faults.error(root.offset, message);
    return undefined;
  }
  const tree = packTables(root, faults);
  if (format === "mailshunt") {
    for (const { offset, key } of duplicates) faults.error(offset, `"${key}" stands here a second time`);
    const result = readOwnFormat(tree, faults);
    return result === undefined ? undefined : { format, result, translation: undefined };
  }
  for (const { offset, key } of duplicates)
    faults.warn(offset, `"${key}" stands here a second time: the last one counts`);
  const translation = translateLmtpProxy(tree, faults);
  return faults.hasErrors ? undefined : { format, result: readTranslated(translation), translation };
}

/** A file of lmtp-proxy may have any key besides its own. */
const isOwnFormat = ({ entries }: MappingNode): boolean =>
  entries.has("version") && !entries.has("config") && !entries.has("users");

function detectFormat(root: MappingNode): Format | undefined {
  if (root.entries.has("version")) return "mailshunt";
  return root.entries.has("config") || root.entries.has("users") ? "lmtp-proxy" : undefined;
}
