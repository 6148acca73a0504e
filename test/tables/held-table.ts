import type { Answer, Table } from "../../src/tables/table.ts";

/** A table whose lookups wait until the test answers them. */
export interface HeldTable extends Table {
  /** Those that wait, in order of coming. */
  readonly asked: readonly { readonly key: string; readonly answer: (answer: Answer) => void }[];
  /** Resolves once so many were asked in all. */
  whenAsked(count: number): Promise<void>;
}

export function heldTable(name: string): HeldTable {
  const asked: { key: string; answer: (answer: Answer) => void }[] = [];
  let onAsked = (): void => undefined;
  return {
    name,
    asked,
    lookup: (key) =>
      new Promise((resolve) => {
        asked.push({ key, answer: resolve });
        onAsked();
      }),
    whenAsked: (count) =>
      new Promise((resolve) => {
        onAsked = () => {
          if (asked.length >= count) resolve();
        };
        onAsked();
      }),
  };
}
