import { setImmediate } from "node:timers/promises";
import { openPacked } from "../packed/packed-table.ts";
import type { Source } from "./source.ts";
import { ABSENT } from "./table.ts";
import type { Answer, TableEntry } from "./table.ts";

/** Entries in a page of a list. */
const PAGE_ENTRIES = 1000;
/** Entries looked at before others have their turn: a millisecond's work. */
const TURN_ENTRIES = 2000;

/** A packed table as a source. */
export function openPackedSource(packed: SharedArrayBuffer): Source {
  const table = openPacked(packed);

  function lookup(key: string): Answer {
    // Lone surrogates are bytes that are no UTF-8, which no key here has; encoded, they would all be one character.
    const value = key.isWellFormed() ? table.find(key) : undefined;
    return value === undefined ? ABSENT : { kind: "found", value };
  }

  async function* list(prefix: string): AsyncGenerator<readonly TableEntry[]> {
    let page: TableEntry[] = [];
    let looked = 0;
    for (const [key, value] of table.entries()) {
      looked += 1;
      if (looked % TURN_ENTRIES === 0) await setImmediate();
      if (!key.startsWith(prefix)) continue;
      page.push({ key, value });
      if (page.length < PAGE_ENTRIES) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  return { entryCount: table.keyCount, lookup, list };
}
