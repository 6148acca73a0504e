import { writeFileSync } from "node:fs";

export interface Entry {
  readonly key: string;
  /** Undefined for a key that does not exist. */
  readonly value: string | undefined;
}

const KNOWN = 1000;
const UNKNOWN = 111;

const number = (at: number): string => String(at).padStart(4, "0");

/** What each table has, each value its own, and what it has not: one lookup in ten. */
export const ENTRIES: readonly Entry[] = [
  ...Array.from({ length: KNOWN }, (_, at) => ({
    key: `user${number(at)}@bench.example`,
    value: `mailbox${number(at)}@store${at % 20}.bench.example`,
  })),
  ...Array.from({ length: UNKNOWN }, (_, at) => ({ key: `unknown${number(at)}@bench.example`, value: undefined })),
];

export const KNOWN_ENTRIES: ReadonlyMap<string, string> = new Map(
  ENTRIES.flatMap(({ key, value }) => (value === undefined ? [] : [[key, value]])),
);

/** As `generator/entries.h` has it. */
export function writeEntries(path: string): void {
  writeFileSync(
    path,
    ENTRIES.map(({ key, value }) => (value === undefined ? key : `${key}\t${value}`) + "\n").join(""),
  );
}
