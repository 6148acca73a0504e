import { formatEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";
import type { FaultCollector } from "./faults.ts";
import { BACKEND_KEYS } from "./lmtp-proxy-keys.ts";
import { checkEndpoint, checkHostPort, checkPort, optionOf, readText, warnOfUnknownKeys } from "./lmtp-proxy-values.ts";
import { checkBackendName } from "./schema.ts";
import { describeNode } from "../yaml/node.ts";
import type { MappingEntry, YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, offsetOfValue } from "../yaml/tree.ts";

export function translateBackends(root: YamlNode, faults: FaultCollector): ReadonlyMap<string, unknown> {
  const translated = new Map<string, unknown>();
  if (entryOf(root, "backends") === undefined) return translated;
  const entry = optionOf(root, "backends");
  if (entry !== undefined && entry.value.kind !== "mapping") {
    faults.error(entry.keyOffset, `"backends" must be a mapping, this is ${describeNode(entry.value)}`);
    return translated;
  }
  for (const [name, backend] of entriesOf(entry?.value)) {
    const reason = checkBackendName(name);
    if (reason !== undefined) faults.error(backend.keyOffset, reason);
    translated.set(name, translateBackend(backend, faults));
  }
  if (translated.size === 0)
    faults.error(entryOf(root, "backends")?.keyOffset ?? root.offset, "there must be a backend at least");
  return translated;
}

function translateBackend(
  { keyOffset, value: node }: MappingEntry,
  faults: FaultCollector,
): ReadonlyMap<string, unknown> {
  const backend = new Map<string, unknown>();
  if (node.kind !== "mapping") {
    faults.error(keyOffset, `a backend must be a mapping with socket, or host and port; this is ${describeNode(node)}`);
    return backend;
  }
  warnOfUnknownKeys(node, BACKEND_KEYS, faults);
  const endpoint = readBackendEndpoint(node, keyOffset, faults);
  if (endpoint !== undefined) backend.set("lmtp", formatEndpoint(endpoint));
  const [user, password] = ["user", "password"].map((key) => optionOf(node, key));
  const alone = user === undefined ? password : password === undefined ? user : undefined;
  if (alone !== undefined) {
    const what = user === undefined ? '"password" without "user"' : '"user" without "password"';
    faults.warn(alone.keyOffset, `${what} is ignored, as lmtp-proxy did: there is no AUTH`);
    return backend;
  }
  for (const key of ["user", "password"]) {
    const text = readText(node, key, faults);
    if (text !== undefined) backend.set(key, text);
  }
  return backend;
}

function readBackendEndpoint(node: YamlNode, keyOffset: number, faults: FaultCollector): Endpoint | undefined {
  const [socket, host, port] = ["socket", "host", "port"].map((key) => optionOf(node, key));
  const path = readText(node, "socket", faults);
  if (socket !== undefined) {
    for (const ignored of [host, port])
      if (ignored !== undefined)
        faults.warn(ignored.keyOffset, `ignored, as lmtp-proxy did: "socket" counts, not "host" and "port"`);
    return path === undefined || path === "" ? undefined : checkEndpoint(`unix:${path}`, offsetOfValue(socket), faults);
  }
  const [hostText, portText] = [readText(node, "host", faults), readText(node, "port", faults)];
  if (host === undefined || port === undefined) {
    const missing = host === undefined ? '"socket" is missing, or "host" and "port"' : '"port" is missing';
    faults.error(keyOffset, missing);
    return undefined;
  }
  if (hostText === undefined || hostText === "" || portText === undefined || portText === "") return undefined;
  if (!checkPort(portText, 1, offsetOfValue(port), faults)) return undefined;
  return checkHostPort(hostText, portText, offsetOfValue(host), faults);
}
