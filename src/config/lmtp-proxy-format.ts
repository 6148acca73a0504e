import { closestName, didYouMean } from "../core/closest-name.ts";
import { formatEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import { parseDelimiter, parsePermissions } from "../core/option-values.ts";
import { PackedTableBuilder } from "../packed/packed-table-builder.ts";
import type { FaultCollector } from "./faults.ts";
import { translateBackends } from "./lmtp-proxy-backends.ts";
import { CONFIG_KEYS, DEFAULT_PID_FILE, ROOT_KEYS } from "./lmtp-proxy-keys.ts";
import { checkEndpoint, checkHostPort, checkPort, optionOf, readText, warnOfUnknownKeys } from "./lmtp-proxy-values.ts";
import { warnOfUnmatchedKeys } from "./unmatched-keys.ts";
import { describeNode, isEmptyNode } from "../yaml/node.ts";
import type { YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, judgeValues, offsetOfValue, textOf, valueOf } from "../yaml/tree.ts";

/** A file in the own format, as its schema takes it. */
export type RawConfig = ReadonlyMap<string, unknown>;

/** Says the same in the own format. Every fault is reported where it stands; the result counts only without one. */
export function translateLmtpProxy(root: YamlNode, faults: FaultCollector): RawConfig {
  checkRootKeys(root, faults);
  const config = valueOf(root, "config");
  if (config !== undefined && isEmptyNode(config))
    faults.error(
      entryOf(root, "config")?.keyOffset ?? root.offset,
      '"config" is missing, with the "socket" to listen on',
    );
  else if (config !== undefined && config.kind !== "mapping")
    faults.error(config.offset, `"config" must be a mapping, this is ${describeNode(config)}`);
  warnOfUnknownKeys(config, CONFIG_KEYS, faults);
  const backends = translateBackends(root, faults);
  return new Map<string, unknown>([
    ["version", "1"],
    ["process", new Map([["pid_file", readPidFile(config, faults)]])],
    ["listeners", config?.kind === "mapping" ? [translateListener(config, faults)] : []],
    ["backends", backends],
    [
      "tables",
      new Map([
        [
          "users",
          new Map<string, unknown>([
            ["type", "static"],
            ["entries", translateUsers(root, faults)],
          ]),
        ],
      ]),
    ],
    ["routing", translateRouting(root, config, faults)],
  ]);
}

/** With `users` misspelt, everybody's mail would go to the fallback. */
function checkRootKeys(root: YamlNode, faults: FaultCollector): void {
  const given = entriesOf(root);
  const misspelt = new Set<string>();
  for (const key of ROOT_KEYS.keys()) {
    if (given.has(key)) continue;
    const unknown = [...given.keys()].filter((name) => !ROOT_KEYS.has(name));
    const likely = closestName(key, unknown);
    if (likely !== undefined) misspelt.add(likely);
    const hint = likely === undefined ? "" : `; there is "${likely}": did you mean "${key}"?`;
    faults.error(given.get(likely ?? "")?.keyOffset ?? root.offset, `"${key}" is missing${hint}`);
  }
  warnOfUnknownKeys(root, ROOT_KEYS, faults, misspelt);
}

function readPidFile(config: YamlNode | undefined, faults: FaultCollector): string {
  const entry = optionOf(config, "pid");
  const path = readText(config, "pid", faults) ?? DEFAULT_PID_FILE;
  if (entry !== undefined && !path.startsWith("/"))
    faults.error(offsetOfValue(entry), `expected an absolute path, got "${path}"`);
  return path;
}

function translateListener(config: YamlNode, faults: FaultCollector): ReadonlyMap<string, unknown> {
  const listener = new Map<string, unknown>([["protocol", "lmtp"]]);
  const endpoint = readSocket(config, faults);
  if (endpoint !== undefined) listener.set("address", formatEndpoint(endpoint));
  for (const key of ["owner", "group", "permissions"]) {
    const entry = optionOf(config, key);
    const value = readText(config, key, faults);
    if (entry === undefined || value === undefined) continue;
    if (endpoint?.kind === "tcp") {
      faults.warn(entry.keyOffset, `"${key}" means nothing for a TCP socket`);
      continue;
    }
    const parsed = key === "permissions" ? parsePermissions(value) : undefined;
    if (parsed?.kind === "bad") faults.error(offsetOfValue(entry), parsed.reason);
    listener.set(key, value);
  }
  return listener;
}

function readSocket(config: YamlNode, faults: FaultCollector): Endpoint | undefined {
  const entry = optionOf(config, "socket");
  if (entry === undefined) {
    faults.error(
      entryOf(config, "socket")?.keyOffset ?? config.offset,
      '"socket" is missing: a path, or a list such as [127.0.0.1, 10025]',
    );
    return undefined;
  }
  if (entry.value.kind === "sequence") {
    const [host, port, ...rest] = entry.value.items;
    const hostText = textOf(host);
    const portText = textOf(port);
    if (hostText !== undefined && portText !== undefined && rest.length === 0) {
      const offset = port?.offset ?? entry.keyOffset;
      return checkPort(portText, 0, offset, faults)
        ? checkHostPort(hostText, portText, host?.offset ?? offset, faults)
        : undefined;
    }
  }
  const path = textOf(entry.value);
  if (path !== undefined) return checkEndpoint(`unix:${path}`, offsetOfValue(entry), faults);
  faults.error(entry.keyOffset, '"socket" must be a path, or a list of host and port such as [127.0.0.1, 10025]');
  return undefined;
}

/** The word there for a user, or all users, whose mail is to wait. */
const REJECT = "reject";

function judgeTarget(root: YamlNode, value: string): string | undefined {
  const backends = entriesOf(valueOf(root, "backends"));
  // One fault is enough where they are missing.
  if (value === REJECT || backends.has(value) || entryOf(root, "backends") === undefined) return undefined;
  if (value === "") return "there is no backend's name";
  if (value === "hold") return `there is no backend "hold"; here it is called "${REJECT}"`;
  return `there is no backend "${value}"${didYouMean(value, [...backends.keys(), REJECT])}`;
}

function translateUsers(root: YamlNode, faults: FaultCollector): PackedTableBuilder {
  const users = valueOf(root, "users");
  if (users === undefined || isEmptyNode(users)) {
    const entry = entryOf(root, "users");
    if (entry !== undefined) faults.warn(entry.keyOffset, 'there are no "users"');
    return new PackedTableBuilder();
  }
  if (users.kind !== "bulk") {
    faults.error(users.offset, `"users" must be a mapping of user to backend, this is ${describeNode(users)}`);
    return new PackedTableBuilder();
  }
  if (users.table.keyCount === 0) faults.warn(users.offset, 'there are no "users"');
  judgeValues(
    users,
    (value) => judgeTarget(root, value),
    (offset, key, reason) => faults.error(offset, `"${key}": ${reason}`),
  );
  users.table.renameValue(REJECT, "hold");
  return users.table;
}

function translateRouting(
  root: YamlNode,
  config: YamlNode | undefined,
  faults: FaultCollector,
): ReadonlyMap<string, unknown> {
  const ignoresDomain = readIgnoreDomain(config, faults);
  const users = valueOf(root, "users");
  if (users?.kind === "bulk")
    warnOfUnmatchedKeys(
      {
        bulk: users,
        key: ignoresDomain ? "localpart" : "address",
        because: `ignoreDomain is ${ignoresDomain ? "True" : "False"}`,
      },
      faults,
    );
  const routing = new Map<string, unknown>([
    ["key", ignoresDomain ? "localpart" : "address"],
    ["recipient_delimiter", readDelimiter(config, faults)],
    ["tables", ["users"]],
  ]);
  const entry = optionOf(config, "fallback_backend");
  const fallback = readText(config, "fallback_backend", faults);
  if (entry !== undefined && fallback !== undefined && fallback !== "") {
    const reason = judgeTarget(root, fallback);
    if (reason !== undefined) faults.error(offsetOfValue(entry), reason);
    routing.set("fallback", fallback === REJECT ? "hold" : fallback);
  }
  return routing;
}

/** A key that a fork of that tool knows. */
function readDelimiter(config: YamlNode | undefined, faults: FaultCollector): string {
  const entry = optionOf(config, "localPartSuffix");
  if (entry === undefined) return "+";
  const parsed = parseDelimiter(entry.value.kind === "scalar" ? entry.value.text : "a");
  if (parsed.kind === "ok") return parsed.value;
  faults.error(offsetOfValue(entry), parsed.reason);
  return "";
}

/** The words that its YAML 1.1 loader reads as a truth value, in lower case. Quoted, they were text, and text is true. */
const TRUE_WORDS = ["true", "yes", "on", "1"];
const FALSE_WORDS = ["false", "no", "off", "0"];

function readIgnoreDomain(config: YamlNode | undefined, faults: FaultCollector): boolean {
  const entry = optionOf(config, "ignoreDomain");
  if (entry?.value.kind === "scalar" && entry.value.text === "") {
    faults.warn(entry.keyOffset, "in quotes this is text, and empty, which lmtp-proxy took for False: so do we");
    return false;
  }
  const word = readText(config, "ignoreDomain", faults)?.toLowerCase();
  if (entry === undefined || word === undefined) return false;
  if (TRUE_WORDS.includes(word)) return true;
  const isPlain = entry.value.kind === "scalar" && entry.value.isPlain;
  if (isPlain && FALSE_WORDS.includes(word)) return false;
  const what = isPlain ? "this is text" : "in quotes this is text";
  faults.warn(offsetOfValue(entry), `${what}, which lmtp-proxy took for True, and so do we: write True or False`);
  return true;
}
