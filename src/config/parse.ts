import { readFileSync } from "node:fs";
import * as v from "valibot";
import { toBackendOptions } from "../backends/options.ts";
import { toLmtpOptions } from "../relay/options.ts";
import { toRoutingOptions } from "../routing/options.ts";
import { toListenerOptions } from "../servers/options.ts";
import type { Config, ConfigFault } from "./config.ts";
import { FaultCollector, wholeFileFault } from "./faults.ts";
import { translateLmtpProxy } from "./lmtp-proxy-format.ts";
import type { RawConfig } from "./lmtp-proxy-format.ts";
import { readOwnFormat } from "./own-format.ts";
import type { ReadSection } from "./own-format.ts";
import { describeReadError } from "./read-error.ts";
import { configSchema } from "./schema.ts";
import { findSecrets } from "./secrets.ts";
import { toBulk } from "./yaml/bulk.ts";
import { composeYaml } from "./yaml/compose.ts";
import type { Composed } from "./yaml/compose.ts";
import { describeNode } from "./yaml/node.ts";
import type { MappingEntry, MappingNode, YamlNode } from "./yaml/node.ts";
import { decodeSource } from "./yaml/source-text.ts";
import type { SourceText } from "./yaml/source-text.ts";

export type Format = Config["source"]["format"];

/** A table before it is opened: this much of it goes from the worker to whoever asks it. */
export interface TableParts {
  readonly name: string;
  readonly type: string;
  readonly options: unknown;
}

/** A configuration that survives structured cloning. */
export type ConfigParts = Omit<Config, "tables"> & { readonly tables: readonly TableParts[] };

export type ReadResult =
  | { readonly kind: "read"; readonly parts: ConfigParts; readonly warnings: readonly ConfigFault[] }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] };

/** @throws never for what is wrong with the file */
export function readConfigFile(path: string, format: Format | undefined): ReadResult {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { kind: "faulty", faults: [wholeFileFault(path, `cannot read it: ${describeReadError(error)}`)] };
  }
  return parseConfig(path, bytes, format);
}

export function parseConfig(path: string, bytes: Buffer, format: Format | undefined): ReadResult {
  const source = decode(path, bytes);
  return source.kind === "bad" ? { kind: "faulty", faults: [source.fault] } : readSource(source.source, format);
}

/** The `lmtp-proxy` file at `path` in the own format, unless it has faults. */
export type TranslateResult =
  | { readonly kind: "translated"; readonly raw: RawConfig; readonly warnings: readonly ConfigFault[] }
  | { readonly kind: "faulty"; readonly faults: readonly ConfigFault[] };

type Decoded =
  | { readonly kind: "ok"; readonly source: SourceText }
  | { readonly kind: "bad"; readonly fault: ConfigFault };

function decode(path: string, bytes: Buffer): Decoded {
  try {
    const decoded = decodeSource(path, bytes);
    if (decoded.kind === "ok") return decoded;
    return { kind: "bad", fault: wholeFileFault(path, decoded.message, decoded.line) };
  } catch (error) {
    return { kind: "bad", fault: wholeFileFault(path, describeReadError(error)) };
  }
}

function readSource(source: SourceText, wanted: Format | undefined): ReadResult {
  const faults = new FaultCollector();
  const composed = compose(source, faults);
  const secrets = composed.root === undefined ? [] : findSecrets(composed.root);
  const read = composed.root?.kind === "mapping" ? readRoot(composed.root, composed, wanted, faults) : undefined;
  const list = faults.list(source, secrets);
  if (read === undefined || faults.hasErrors) return { kind: "faulty", faults: list };
  const parts = makeParts({ path: source.path, format: read.format }, read.result);
  return { kind: "read", parts, warnings: list };
}

/** Reports whatever keeps the file from being one mapping. */
function compose(source: SourceText, faults: FaultCollector): Composed {
  const composed = composeYaml(source.text, isTablePath);
  for (const { offset, message } of composed.faults) faults.error(offset, message);
  const { root } = composed;
  if (faults.hasErrors || root?.kind === "mapping") return composed;
  if (root === undefined || (root.kind === "scalar" && root.text === ""))
    faults.error(0, `the file is empty: ${FORMATS_EXPLAINED}`);
  else faults.error(root.offset, `the file must be a mapping, this is ${describeNode(root)}: ${FORMATS_EXPLAINED}`);
  return composed;
}

const FORMATS_EXPLAINED =
  'mailshunt\'s own format begins with "version: 1", that of lmtp-proxy has the keys "config", "backends" and "users"';

interface ReadRoot {
  readonly format: Format;
  readonly result: ReadSection;
}

function readRoot(
  root: MappingNode,
  composed: Composed,
  wanted: Format | undefined,
  faults: FaultCollector,
): ReadRoot | undefined {
  const format = wanted ?? detectFormat(root);
  if (format === undefined) {
    faults.error(root.offset, `this is no configuration that we know: ${FORMATS_EXPLAINED}`);
    return undefined;
  }
  const tree = withTables(root, faults);
  if (format === "mailshunt") {
    for (const { offset, key } of composed.duplicates) faults.error(offset, `"${key}" stands here a second time`);
    const result = readOwnFormat(tree, faults);
    return result === undefined ? undefined : { format, result };
  }
  for (const { offset, key } of composed.duplicates)
    faults.warn(offset, `"${key}" stands here a second time: the last one counts`);
  const raw = translateLmtpProxy(tree, faults);
  return faults.hasErrors ? undefined : { format, result: readTranslated(raw) };
}

function detectFormat(root: MappingNode): Format | undefined {
  if (root.entries.has("version")) return "mailshunt";
  return root.entries.has("config") || root.entries.has("users") ? "lmtp-proxy" : undefined;
}

/** @throws Error if a translation that reported nothing does not fit the own format, which is our fault */
function readTranslated(raw: RawConfig): ReadSection {
  const section = v.parse(configSchema, raw);
  const passwords = new Map<string, string>();
  for (const [name, { password }] of section.backends)
    if (password?.kind === "inline") passwords.set(name, password.text);
  return { section, passwords };
}

const isTablePath = (path: readonly string[]): boolean =>
  (path.length === 1 && path[0] === "users") || (path.length === 3 && path[0] === "tables" && path[2] === "entries");

/** The same tree with tables that came in by an alias, or by `<<`, packed as well. */
function withTables(root: MappingNode, faults: FaultCollector, path: readonly string[] = []): MappingNode {
  const entries = new Map<string, MappingEntry>();
  for (const [key, entry] of root.entries) {
    const here = [...path, key];
    entries.set(key, { keyOffset: entry.keyOffset, value: withTable(entry.value, here, faults) });
  }
  return { kind: "mapping", offset: root.offset, entries };
}

function withTable(node: YamlNode, path: readonly string[], faults: FaultCollector): YamlNode {
  if (node.kind !== "mapping") return node;
  if (isTablePath(path))
    return toBulk(node, (key, offset) => faults.error(offset, `the value of "${key}" must be one name`));
  return path[0] === "tables" && path.length < 3 ? withTables(node, faults, path) : node;
}

function makeParts(source: Config["source"], { section, passwords }: ReadSection): ConfigParts {
  const { process, log } = section;
  return {
    source,
    process: {
      user: process.user,
      group: process.group,
      pidFile: process.pid_file,
      shutdownTimeoutMs: process.shutdown_timeout,
    },
    log,
    listeners: section.listeners.map(toListenerOptions),
    backends: new Map(
      [...section.backends].map(([name, backend]) => [name, toBackendOptions(name, backend, passwords.get(name))]),
    ),
    tables: [...section.tables].map(([name, { type, options }]) => ({ name, type, options })),
    routing: toRoutingOptions(section.routing),
    lmtp: toLmtpOptions(section.lmtp),
  };
}

/** For `convert`: reads only the format of `lmtp-proxy`. */
export function translateFile(path: string): TranslateResult {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    return { kind: "faulty", faults: [wholeFileFault(path, `cannot read it: ${describeReadError(error)}`)] };
  }
  const decoded = decode(path, bytes);
  if (decoded.kind === "bad") return { kind: "faulty", faults: [decoded.fault] };
  const { source } = decoded;
  const faults = new FaultCollector();
  const composed = compose(source, faults);
  const secrets = composed.root === undefined ? [] : findSecrets(composed.root);
  let raw: RawConfig | undefined;
  if (composed.root?.kind === "mapping") {
    if (detectFormat(composed.root) === "mailshunt")
      faults.error(composed.root.offset, "this file is in mailshunt's own format already");
    else {
      for (const { offset, key } of composed.duplicates)
        faults.warn(offset, `"${key}" stands here a second time: the last one counts`);
      raw = translateLmtpProxy(withTables(composed.root, faults), faults);
    }
  }
  const list = faults.list(source, secrets);
  if (raw === undefined || faults.hasErrors) return { kind: "faulty", faults: list };
  return { kind: "translated", raw, warnings: list };
}
