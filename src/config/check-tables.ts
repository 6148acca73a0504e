import { didYouMean } from "../core/closest-name.ts";
import type { BulkNode, MappingEntry, YamlNode } from "../yaml/node.ts";
import { entriesOf, entryOf, judgeValues, offsetOfValue, textOf, valueOf } from "../yaml/tree.ts";
import type { FaultCollector } from "./faults.ts";
import { describeCircle, findCircle } from "./table-circle.ts";
import { warnOfUnmatchedKeys } from "./unmatched-keys.ts";

/** Why a value cannot stand where a backend's name stands; undefined if it can. */
export type JudgeTarget = (value: string) => string | undefined;

/** What the file says of tables in several places must fit: who asks which, and with what they answer the router. */
export function checkTables(root: YamlNode, judgeTarget: JudgeTarget, faults: FaultCollector): void {
  const tables = entriesOf(valueOf(root, "tables"));
  const routed = checkRoutingTables(root, tables, faults);
  const asked = new Set([...routed, ...checkServedTables(root, tables, faults)]);
  const members = membersOf(tables);
  for (const [name, { value: table }] of tables) {
    const isComposite = !["static", "file"].includes(typeOf(table)) && valueOf(table, "tables") !== undefined;
    if (isComposite) for (const member of checkNames(valueOf(table, "tables"), tables, faults)) asked.add(member);
    if (isComposite) checkCircle(name, tables, members, faults);
    const entries = valueOf(table, "entries");
    if (routed.has(name) && typeOf(table) === "static" && entries?.kind === "bulk")
      checkRoutedEntries(root, entries, judgeTarget, faults);
  }
  const routedList = valueOf(valueOf(root, "routing"), "tables");
  if (routedList !== undefined && routedList.kind !== "sequence") return;
  for (const [name, { keyOffset }] of tables)
    if (!asked.has(name)) faults.warn(keyOffset, `table "${name}" is never asked: ${NEVER_ASKED}`);
}

/** What a listener may speak without any backend. */
export const TABLE_PROTOCOLS: ReadonlySet<string> = new Set(["socketmap", "dict", "tcp-table"]);

const NEVER_ASKED = "neither routing.tables nor a listener nor another table names it";

const typeOf = (table: YamlNode): string => textOf(valueOf(table, "type")) ?? "";

function checkRoutedEntries(root: YamlNode, entries: BulkNode, judge: JudgeTarget, faults: FaultCollector): void {
  judgeValues(entries, judge, (offset, user, reason) => faults.error(offset, `"${user}": ${reason}`));
  const key = textOf(valueOf(valueOf(root, "routing"), "key")) ?? "localpart";
  if (key === "localpart" || key === "address")
    warnOfUnmatchedKeys({ bulk: entries, key, because: `routing.key is ${key}` }, faults);
}

function checkRoutingTables(root: YamlNode, tables: Entries, faults: FaultCollector): Set<string> {
  const list = valueOf(valueOf(root, "routing"), "tables");
  return checkNames(list, tables, faults);
}

type Entries = ReadonlyMap<string, MappingEntry>;

/** @returns the names of tables that exist */
function checkNames(list: YamlNode | undefined, tables: Entries, faults: FaultCollector): Set<string> {
  const names = new Set<string>();
  for (const item of list?.kind === "sequence" ? list.items : []) {
    const name = textOf(item);
    if (name === undefined) continue;
    if (names.has(name)) faults.warn(item.offset, `table "${name}" is asked a second time`);
    else if (checkName(name, item.offset, tables, faults)) names.add(name);
  }
  return names;
}

function checkName(name: string, offset: number, tables: Entries, faults: FaultCollector): boolean {
  if (tables.has(name)) return true;
  faults.error(offset, `there is no table "${name}"${didYouMean(name, tables.keys())}`);
  return false;
}

/** @returns the names of tables that a listener serves */
function checkServedTables(root: YamlNode, tables: Entries, faults: FaultCollector): Set<string> {
  const served = new Set<string>();
  const listeners = valueOf(root, "listeners");
  for (const listener of listeners?.kind === "sequence" ? listeners.items : []) {
    const protocol = textOf(valueOf(listener, "protocol"));
    if (protocol === undefined || !TABLE_PROTOCOLS.has(protocol)) continue;
    const named = [entryOf(listener, "table"), ...entriesOf(valueOf(listener, "tables")).values()];
    for (const entry of named) {
      const name = textOf(entry?.value);
      if (entry !== undefined && name !== undefined && checkName(name, offsetOfValue(entry), tables, faults))
        served.add(name);
    }
    if (protocol === "tcp-table" || entryOf(listener, "tables") !== undefined) continue;
    if (tables.size === 0) faults.error(listener.offset, `this listener has no table to serve: there are no "tables"`);
    for (const name of tables.keys()) served.add(name);
  }
  return served;
}

/** Reported once, at the table that stands first in the file of those that ask each other. */
function checkCircle(start: string, tables: Entries, members: Members, faults: FaultCollector): void {
  const circle = findCircle(start, members);
  const entry = tables.get(start);
  if (circle !== undefined && entry !== undefined) faults.error(entry.keyOffset, describeCircle(circle));
}

type Members = ReadonlyMap<string, readonly string[]>;

/** Those that exist. */
function membersOf(tables: Entries): Members {
  const members = new Map<string, readonly string[]>();
  for (const [name, { value: table }] of tables) {
    const list = valueOf(table, "tables");
    const names = list?.kind === "sequence" ? list.items.map((item) => textOf(item) ?? "") : [];
    members.set(
      name,
      names.filter((member) => tables.has(member)),
    );
  }
  return members;
}
