/** What a client wants of an iteration. Source: enum dict_iterate_flags of Dovecot's dict.h. */
export interface IterateFlags {
  /** Keys at any depth, else direct children only. */
  readonly isRecursive: boolean;
  readonly sortsByKey: boolean;
  readonly sortsByValue: boolean;
  /** Keys alone are wanted. */
  readonly omitsValues: boolean;
  /** The path is a whole key. */
  readonly isExactKey: boolean;
}

/** A row as a table lists it. */
export interface DictRow {
  readonly key: string;
  readonly value?: string;
}

/** Bit 32 only tells how the client waits, and what is higher is not known yet. */
export function decodeIterateFlags(bits: number): IterateFlags {
  return {
    isRecursive: (bits & 1) !== 0,
    sortsByKey: (bits & 2) !== 0,
    sortsByValue: (bits & 4) !== 0,
    omitsValues: (bits & 8) !== 0,
    isExactKey: (bits & 16) !== 0,
  };
}

/** Whether an iteration of `path` yields `key`. The path is a mere prefix, as in dict-file.c: `a/` yields `a/b`, and `a/b` also `a/bc`. */
export function belongs(key: string, path: string, flags: IterateFlags): boolean {
  if (!key.startsWith(path)) return false;
  if (flags.isRecursive) return true;
  return flags.isExactKey ? key.length === path.length : !key.includes("/", path.length);
}

/** The first of several paths that yields `key`: it may come once only. */
export function findPath(key: string, paths: readonly string[], flags: IterateFlags): string | undefined {
  return paths.find((path) => belongs(key, path, flags));
}

/** Whether rows can be given out as they come. */
export function isUnsorted(flags: IterateFlags): boolean {
  return !flags.sortsByKey && !flags.sortsByValue;
}

/** In the order wanted, by key where both are. By UTF-16 units: as bytes would sort but for characters beyond U+FFFF. */
export function sortRows(rows: readonly DictRow[], flags: IterateFlags): readonly DictRow[] {
  if (flags.sortsByKey) return rows.toSorted((a, b) => compare(a.key, b.key));
  if (flags.sortsByValue) return rows.toSorted((a, b) => compare(a.value ?? "", b.value ?? ""));
  return rows;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
