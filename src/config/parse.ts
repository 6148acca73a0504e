import { readFileSync } from "node:fs";
import type { ConfigFault } from "./config.ts";
import { FaultCollector, wholeFileFault } from "./faults.ts";
import { translateLmtpProxy } from "./lmtp-proxy-format.ts";
import type { RawConfig } from "./lmtp-proxy-format.ts";
import { findSecrets } from "./mask.ts";
import { readOwnFormat, readTranslated } from "./own-format.ts";
import type { ReadSection } from "./own-format.ts";
import { makeParts } from "./parts.ts";
import type { ConfigParts, Format } from "./parts.ts";
import { describeReadError } from "./read-error.ts";
import { composeYaml } from "./yaml/compose.ts";
import type { DuplicateKey } from "./yaml/composer.ts";
import { describeNode } from "./yaml/node.ts";
import type { MappingNode, YamlNode } from "./yaml/node.ts";
import { decodeSource } from "./yaml/source-text.ts";
import type { SourceText } from "./yaml/source-text.ts";
import { isTablePath, packTables } from "./yaml/tables.ts";

export type ReadResult =
  | {
      readonly kind: "read";
      readonly parts: ConfigParts;
      readonly warnings: readonly ConfigFault[];
      /** The same in the own format, for a file that was not. */
      readonly translation: RawConfig | undefined;
    }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] };

/** @throws only where we are at fault, never for what is wrong with the file */
export function readConfigFile(path: string, format: Format | undefined): ReadResult {
  let source: SourceText;
  try {
    const decoded = decodeSource(path, readFileSync(path));
    if (decoded.kind === "bad")
      return { kind: "faulty", faults: [wholeFileFault(path, decoded.message, decoded.line)] };
    source = decoded.source;
  } catch (error) {
    return { kind: "faulty", faults: [wholeFileFault(path, `cannot read it: ${describeReadError(error)}`)] };
  }
  return parseConfig(source, format);
}

export function parseConfig(source: SourceText, format: Format | undefined): ReadResult {
  const faults = new FaultCollector();
  const composed = composeYaml(source.text, isTablePath);
  for (const { offset, message } of composed.faults) faults.error(offset, message);
  const { root } = composed;
  let read: ReadRoot | undefined;
  if (root?.kind === "mapping") read = readRoot(root, format, composed.duplicates, faults);
  else if (!faults.hasErrors) faults.error(root?.offset ?? 0, `${describeRoot(root)}: ${FORMATS_EXPLAINED}`);
  const list = faults.list(source, root === undefined ? [] : findSecrets(root));
  if (read === undefined || faults.hasErrors) return { kind: "faulty", faults: list };
  const parts = makeParts({ path: source.path, format: read.format }, read.result);
  return { kind: "read", parts, warnings: list, translation: read.translation };
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

function detectFormat(root: MappingNode): Format | undefined {
  if (root.entries.has("version")) return "mailshunt";
  return root.entries.has("config") || root.entries.has("users") ? "lmtp-proxy" : undefined;
}
