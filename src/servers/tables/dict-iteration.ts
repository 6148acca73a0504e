import { findPath, isUnsorted, sortRows } from "../../protocols/dict/iteration.ts";
import type { DictRow } from "../../protocols/dict/iteration.ts";
import { encodeIterationFailure, encodeRows, ITERATION_END } from "../../protocols/dict/reply.ts";
import type { DictAction } from "../../protocols/dict/session.ts";
import { TableFailure } from "../../tables/table.ts";
import type { Table, TableEntry } from "../../tables/table.ts";
import type { DictKeys } from "./dict-keys.ts";

type Iterate = DictAction & { readonly kind: "iterate" };

/** Rows that are sorted before the first goes out: they must all be held. */
const MAX_SORTED_ROWS = 100_000;

/** Keys that several paths of one iteration could yield twice; the others cannot repeat. */
const MAX_REMEMBERED_KEYS = 1_000_000;

/** The reply to an iteration, in pieces. Never throws: what fails ends it, as the protocol has it. */
export async function* iterate(table: Table | undefined, keys: DictKeys, action: Iterate): AsyncGenerator<Buffer> {
  try {
    if (table === undefined) throw new TableFailure("there is no such table any more");
    let rows = 0;
    for await (const page of isUnsorted(action.flags) ? rowsOf(table, keys, action) : sorted(table, keys, action)) {
      const taken = page.slice(0, action.maxRows - rows);
      rows += taken.length;
      if (taken.length > 0) yield encodeRows(taken, action.flags);
      if (rows >= action.maxRows) break;
    }
    yield ITERATION_END;
  } catch (error) {
    yield encodeIterationFailure(error instanceof Error ? error.message : String(error));
  }
}

async function* sorted(table: Table, keys: DictKeys, action: Iterate): AsyncGenerator<readonly DictRow[]> {
  const all: DictRow[] = [];
  for await (const page of rowsOf(table, keys, action)) {
    all.push(...page);
    if (all.length > MAX_SORTED_ROWS) throw new TableFailure(`more than ${MAX_SORTED_ROWS} rows to sort`);
  }
  yield sortRows(all, action.flags);
}

async function* rowsOf(table: Table, keys: DictKeys, action: Iterate): AsyncGenerator<readonly DictRow[]> {
  const { paths, flags, user } = action;
  if (flags.isExactKey) {
    for (const path of paths) yield await exactRows(table, path, keys.toTable(path, user));
    return;
  }
  if (table.list === undefined) throw new TableFailure(`table ${table.name} cannot be listed`);
  const seen = new Set<string>();
  for (const path of paths) {
    for await (const page of table.list(keys.prefixOf(path, user))) {
      const rows: DictRow[] = [];
      for (const entry of page) {
        const key = dictKeyOf(entry, path, user, keys);
        if (key === undefined || findPath(key, paths, flags) !== path) continue;
        if (paths.length > 1) {
          if (seen.has(key)) continue;
          if (seen.size >= MAX_REMEMBERED_KEYS) throw new TableFailure("too many rows for several paths");
          seen.add(key);
        }
        const row = await rowOf(table, entry, key, keys, action);
        if (row !== undefined) rows.push(row);
      }
      yield rows;
    }
  }
}

const dictKeyOf = (entry: TableEntry, path: string, user: string, keys: DictKeys): string | undefined =>
  entry.value === undefined ? keys.fromListedName(entry.key, path, user) : keys.fromTable(entry.key, path, user);

/** A source that lists names is asked for each value; a name that is gone by then has no row. */
async function rowOf(
  table: Table,
  { value }: TableEntry,
  key: string,
  keys: DictKeys,
  { flags, user }: Iterate,
): Promise<DictRow | undefined> {
  if (value !== undefined) return { key, value };
  if (flags.omitsValues) return { key };
  const answer = await table.lookup(keys.toTable(key, user));
  if (answer.kind === "failed") throw new TableFailure(answer.reason);
  return answer.kind === "found" ? { key, value: answer.value } : undefined;
}

async function exactRows(table: Table, path: string, tableKey: string): Promise<readonly DictRow[]> {
  const answer = await table.lookup(tableKey);
  if (answer.kind === "failed") throw new TableFailure(answer.reason);
  if (answer.kind === "absent") return [];
  return (answer.values ?? [answer.value]).map((value) => ({ key: path, value }));
}
