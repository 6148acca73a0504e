import * as v from "valibot";
import { didYouMean } from "../core/closest-name.ts";
import { formatEndpoint, parseEndpoint } from "../core/endpoint.ts";
import { secret } from "../core/secret.ts";
import { parseDuration } from "../core/units.ts";
import { checkTables } from "./check-tables.ts";
import { checkViews } from "./check-views.ts";
import { checkWriteThrough } from "./check-write-through.ts";
import type { FaultCollector } from "./faults.ts";
import type { RawConfig } from "./lmtp-proxy-format.ts";
import { isSecretKey } from "./mask.ts";
import { configSchema } from "./schema.ts";
import type { ConfigSection } from "./schema.ts";
import { readSecret } from "../core/read-secret.ts";
import { isEmptyNode } from "../yaml/node.ts";
import type { YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, locateIssue, offsetOfValue, textOf, toRaw, valueOf } from "../yaml/tree.ts";

export interface ReadSection {
  readonly section: ConfigSection;
  /** Of the backends that have one. */
  readonly passwords: ReadonlyMap<string, string>;
}

/** Undefined if there was an error. The checks across sections look at the file itself, so that all faults show at once. */
export function readOwnFormat(root: YamlNode, faults: FaultCollector): ReadSection | undefined {
  const result = v.safeParse(configSchema, toRaw(root));
  for (const issue of result.issues ?? []) faults.error(locateIssue(root, issue.path), issue.message);
  checkListeners(root, faults);
  const hasLmtp = servesLmtp(root);
  const passwords = checkBackends(root, hasLmtp, faults);
  checkTables(root, (value) => judgeTarget(root, value), faults);
  checkViews(root, faults);
  checkWriteThrough(root, faults);
  checkRouting(root, hasLmtp, faults);
  checkClientTimeout(entryOf(valueOf(root, "lmtp"), "data_timeout"), CLIENT_DATA_TIMEOUT, faults);
  return result.success ? { section: result.output, passwords } : undefined;
}

/** @throws Error if a translation in which nothing was wrong does not fit the own format, which is our fault */
export function readTranslated(raw: RawConfig): ReadSection {
  const section = v.parse(configSchema, raw);
  const passwords = new Map<string, string>();
  for (const [name, { password }] of section.backends)
    if (password?.kind === "inline") passwords.set(name, password.text);
  return { section, passwords };
}

function checkListeners(root: YamlNode, faults: FaultCollector): void {
  const entry = entryOf(root, "listeners");
  if (entry === undefined) return;
  const items = entry.value.kind === "sequence" ? entry.value.items : [];
  if (isNothing(entry.value)) faults.error(entry.keyOffset, "there must be a listener at least");
  const seen = new Set<string>();
  for (const item of items) {
    const address = entryOf(item, "address");
    const parsed = parseEndpoint(textOf(address?.value) ?? "");
    if (address === undefined || parsed.kind === "bad") continue;
    const endpoint = formatEndpoint(parsed.endpoint);
    if (seen.has(endpoint)) faults.error(offsetOfValue(address), `two listeners on one address, ${endpoint}`);
    seen.add(endpoint);
    checkToken(item, parsed.endpoint.kind, faults);
    if (parsed.endpoint.kind === "unix") continue;
    for (const key of ["owner", "group", "permissions"]) {
      const option = entryOf(item, key);
      if (option !== undefined) faults.warn(option.keyOffset, `"${key}" means nothing on a TCP listener`);
    }
  }
}

/** Whoever reaches a TCP port of the admin API could do everything. */
function checkToken(listener: YamlNode, kind: "unix" | "tcp", faults: FaultCollector): void {
  const protocol = entryOf(listener, "protocol");
  if (protocol === undefined || textOf(protocol.value) !== "admin") return;
  const token = entryOf(listener, "token");
  if (kind === "tcp" && token === undefined)
    faults.error(offsetOfValue(protocol), 'the admin API over TCP needs a "token", or let it listen on a unix socket');
  if (kind === "unix" && token !== undefined)
    faults.error(token.keyOffset, '"token" is for TCP: on a unix socket owner and permissions decide who may connect');
}

/** Nothing behind the key, `[]` or `{}`. */
const isNothing = (node: YamlNode): boolean =>
  isEmptyNode(node) ||
  (node.kind === "sequence" && node.items.length === 0) ||
  (node.kind === "mapping" && node.entries.size === 0);

/** What Postfix allows by default for the reply to the final dot and to DATA, in ms, with its parameters' names. */
const CLIENT_FINAL_TIMEOUT = {
  ms: 600_000,
  text: "600s (lmtp_data_done_timeout)",
  harm: "and deliver the message twice",
};
const CLIENT_DATA_TIMEOUT = { ms: 120_000, text: "120s (lmtp_data_init_timeout)", harm: "and defer the message" };

function checkBackends(root: YamlNode, hasLmtp: boolean, faults: FaultCollector): Map<string, string> {
  const passwords = new Map<string, string>();
  const entry = entryOf(root, "backends");
  if (hasLmtp && (entry === undefined || isNothing(entry.value)))
    faults.error(
      entry?.keyOffset ?? root.offset,
      entry === undefined
        ? '"backends" is missing: an LMTP listener needs one at least'
        : "there must be a backend at least",
    );
  for (const [name, { value: backend }] of entriesOf(entry?.value)) {
    checkClientTimeout(entryOf(backend, "final_timeout"), CLIENT_FINAL_TIMEOUT, faults);
    const user = entryOf(backend, "user");
    const password = entryOf(backend, "password");
    if (user === undefined && password !== undefined) faults.error(password.keyOffset, `"password" needs a "user"`);
    if (password === undefined) {
      // A misspelt password is reported already.
      if (user !== undefined && ![...entriesOf(backend).keys()].some(isSecretKey))
        faults.error(user.keyOffset, `"user" needs a "password"`);
      continue;
    }
    const source = v.safeParse(secret(), toRaw(password.value));
    if (!source.success) continue;
    const read = readSecret(source.output);
    if (read.kind === "ok") passwords.set(name, read.value);
    else faults.error(password.keyOffset, read.reason);
  }
  return passwords;
}

function checkClientTimeout(
  option: ReturnType<typeof entryOf>,
  limit: typeof CLIENT_FINAL_TIMEOUT,
  faults: FaultCollector,
): void {
  const parsed = parseDuration(textOf(option?.value) ?? "");
  if (option === undefined || parsed.kind === "bad" || parsed.value < limit.ms) return;
  faults.warn(offsetOfValue(option), `Postfix gives up after ${limit.text}: it would do so first, ${limit.harm}`);
}

const REJECT_EXPLAINED =
  '"reject" is a word of the lmtp-proxy format. Here it is "hold" (450 4.2.1: the client tries again), ' +
  'and the permanent one is "refuse" (550 5.7.1: the mail bounces)';

/** The reason why a value cannot stand where a backend's name stands. */
function judgeTarget(root: YamlNode, value: string): string | undefined {
  const backends = valueOf(root, "backends");
  if (value === "hold" || value === "refuse" || entriesOf(backends).has(value)) return undefined;
  if (value === "reject") return REJECT_EXPLAINED;
  if (value === "") return "there is no value";
  return `there is no backend "${value}"${didYouMean(value, [...entriesOf(backends).keys(), "hold", "refuse"])}`;
}

function checkRouting(root: YamlNode, hasLmtp: boolean, faults: FaultCollector): void {
  const routing = valueOf(root, "routing");
  const fallback = entryOf(routing, "fallback");
  const target = textOf(fallback?.value);
  if (fallback !== undefined && target !== undefined) {
    const reason = judgeTarget(root, target);
    if (reason !== undefined) faults.error(offsetOfValue(fallback), reason);
  }
  const list = valueOf(routing, "tables");
  if (list !== undefined && list.kind !== "sequence") return;
  const hasDirectory = entryOf(root, "directory") !== undefined;
  if (hasLmtp && (list === undefined || list.items.length === 0) && fallback === undefined && !hasDirectory)
    faults.warn(
      entryOf(root, "routing")?.keyOffset ?? root.offset,
      "no table is asked and there is no fallback: every recipient is unknown",
    );
}

/** A server of tables alone needs no backends. */
function servesLmtp(root: YamlNode): boolean {
  const listeners = valueOf(root, "listeners");
  if (listeners?.kind !== "sequence") return listeners === undefined;
  return listeners.items.length === 0 || listeners.items.some((item) => textOf(valueOf(item, "protocol")) === "lmtp");
}
