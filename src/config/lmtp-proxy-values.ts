import { isIPv6 } from "node:net";
import { parseEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import { describeUnknownKey } from "../core/option-schema.ts";
import type { FaultCollector } from "./faults.ts";
import type { KeyTexts } from "./lmtp-proxy-keys.ts";
import { describeNode } from "../yaml/node.ts";
import type { MappingEntry, YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, isNone } from "../yaml/tree.ts";

/** The tool those files were written for ignores keys that it does not know. */
export function warnOfUnknownKeys(
  node: YamlNode | undefined,
  keys: KeyTexts,
  faults: FaultCollector,
  reported: ReadonlySet<string> = new Set(),
): void {
  const given = entriesOf(node);
  const known = [...keys.keys()];
  for (const [key, { keyOffset }] of given) {
    if (!known.includes(key) && !reported.has(key))
      faults.warn(keyOffset, `${describeUnknownKey(key, known, given)} (ignored)`);
  }
}

/** `key:`, `~` and `null` are None there, which is the same as no key. */
export function optionOf(node: YamlNode | undefined, key: string): MappingEntry | undefined {
  const entry = entryOf(node, key);
  return entry === undefined || isNone(entry.value) ? undefined : entry;
}

export function readText(node: YamlNode | undefined, key: string, faults: FaultCollector): string | undefined {
  const entry = optionOf(node, key);
  if (entry === undefined) return undefined;
  if (entry.value.kind !== "scalar") {
    faults.error(entry.keyOffset, `"${key}" must be text, this is ${describeNode(entry.value)}`);
    return undefined;
  }
  if (entry.value.text === "") faults.error(entry.keyOffset, `"${key}" is empty`);
  return entry.value.text;
}

export function checkHostPort(
  host: string,
  port: string,
  offset: number,
  faults: FaultCollector,
): Endpoint | undefined {
  if (!host.includes(":")) return checkEndpoint(`${host}:${port}`, offset, faults);
  if (isIPv6(host)) return checkEndpoint(`[${host}]:${port}`, offset, faults);
  faults.error(offset, `expected a name or an address alone, got "${host}"`);
  return undefined;
}

/** @param min 0 where the system may choose a port */
export function checkPort(text: string, min: number, offset: number, faults: FaultCollector): boolean {
  if (/^\d{1,5}$/.test(text) && Number(text) >= min && Number(text) <= 65_535) return true;
  faults.error(offset, `port: 1 to 65535, got "${text}"`);
  return false;
}

export function checkEndpoint(text: string, offset: number, faults: FaultCollector): Endpoint | undefined {
  const parsed = parseEndpoint(text);
  if (parsed.kind === "ok") return parsed.endpoint;
  faults.error(offset, parsed.reason);
  return undefined;
}
