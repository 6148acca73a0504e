import { found } from "../table.ts";
import type { Answer, TableEntry } from "../table.ts";
import type { SqlRow } from "./values.ts";

/** Values of one key: a query that forgot its WHERE must not fill the memory. */
export const MAX_VALUES = 10_000;

/** Rows of a list: with more, it has failed. */
export const MAX_LIST_ROWS = 1_000_000;

const PAGE_ENTRIES = 1000;

/** The first column of each row; NULL says nothing. */
export const toAnswer = (rows: readonly SqlRow[]): Answer =>
  found(rows.flatMap(([value]) => (value === null || value === undefined ? [] : [value])));

/** Whatever the query made of `:prefix`, with LIKE for example, only what begins with it is given out. */
export function* toPages(rows: readonly SqlRow[], prefix: string): Generator<readonly TableEntry[]> {
  let page: TableEntry[] = [];
  for (const [key, value] of rows) {
    if (key === null || key === undefined || value === null || !key.startsWith(prefix)) continue;
    page.push(value === undefined ? { key } : { key, value });
    if (page.length < PAGE_ENTRIES) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
