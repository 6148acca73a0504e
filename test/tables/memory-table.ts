import { DONE, found, TableFailure } from "../../src/tables/table.ts";
import type { Answer, Change, Table, TableEntry, WriteOutcome } from "../../src/tables/table.ts";

export interface MemoryTable extends Table {
  readonly entries: Map<string, readonly string[]>;
  /** Every write that was asked for, done or not. */
  readonly writes: (readonly Change[])[];
}

/** What the table does with some keys, wherever they stand in a lookup, a list or a write. */
export interface Oddities {
  /** Lookups fail, lists break off after the page before them, writes of them fail. */
  readonly failing?: ReadonlyMap<string, string>;
  /** Lookups are answered a turn later. */
  readonly late?: ReadonlySet<string>;
  /** Nobody knows whether a write of them was done. */
  readonly uncertain?: ReadonlySet<string>;
}

const NO_ODDITIES: Oddities = {};

/** A table whose content is in this process, and which can do everything that a table may. One entry is a page of a list. */
export function memoryTable(
  name: string,
  content: Readonly<Record<string, string | readonly string[]>>,
  { failing, late, uncertain }: Oddities = NO_ODDITIES,
): MemoryTable {
  const entries = new Map(
    Object.entries(content).map(([key, value]) => [key, typeof value === "string" ? [value] : value]),
  );
  const writes: (readonly Change[])[] = [];

  function answer(key: string): Answer {
    const reason = failing?.get(key);
    return reason === undefined ? found(entries.get(key) ?? []) : { kind: "failed", reason };
  }

  async function* list(prefix: string): AsyncGenerator<readonly TableEntry[]> {
    for (const [key, values] of entries) {
      if (!key.startsWith(prefix)) continue;
      const reason = failing?.get(key);
      if (reason !== undefined) throw new TableFailure(reason);
      yield [{ key, value: values.join(",") }];
    }
  }

  function write(changes: readonly Change[]): WriteOutcome {
    writes.push(changes);
    for (const { key } of changes) {
      const reason = failing?.get(key);
      if (reason !== undefined) return { kind: "failed", reason };
    }
    const draft = new Map(entries);
    for (const change of changes) {
      switch (change.kind) {
        case "set":
          draft.set(change.key, [change.value]);
          break;
        case "unset":
          draft.delete(change.key);
          break;
        case "increment": {
          const old = draft.get(change.key)?.[0];
          if (old === undefined) return { kind: "absent" };
          draft.set(change.key, [String(BigInt(old) + change.by)]);
        }
      }
    }
    entries.clear();
    for (const [key, value] of draft) entries.set(key, value);
    const doubtful = changes.find(({ key }) => uncertain?.has(key));
    return doubtful === undefined ? DONE : { kind: "uncertain", reason: `${doubtful.key} may be written` };
  }

  return {
    name,
    entries,
    writes,
    lookup: (key) =>
      late?.has(key) === true ? new Promise((resolve) => setImmediate(() => resolve(answer(key)))) : answer(key),
    list,
    write: (changes) => Promise.resolve(write(changes)),
  };
}
