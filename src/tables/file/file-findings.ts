import { PackedTableBuilder } from "../../packed/packed-table-builder.ts";

/** Something wrong or odd in a file. */
export interface Finding {
  /** In UTF-16 units, from 0. */
  readonly offset: number;
  readonly text: string;
}

/** Findings kept of one file; of more only the number is told. */
const MAX_KEPT = 5;

export class Findings {
  readonly kept: Finding[] = [];
  count = 0;

  add(offset: number, text: string): void {
    this.count += 1;
    if (this.kept.length < MAX_KEPT) this.kept.push({ offset, text });
  }
}

/** What a file's text says. It counts only where there are no faults. */
export interface ParsedFile {
  readonly table: PackedTableBuilder;
  readonly faults: Findings;
  readonly warnings: Findings;
}

/** Which of two entries with one key counts. */
export type Winner = "first" | "last";

/** Collects the entries of a file. */
export class EntryCollector implements ParsedFile {
  readonly table = new PackedTableBuilder();
  readonly faults = new Findings();
  readonly warnings = new Findings();
  readonly #winner: Winner;
  readonly #foldsKeys: boolean;

  constructor(winner: Winner, foldsKeys: boolean) {
    this.#winner = winner;
    this.#foldsKeys = foldsKeys;
  }

  add(key: string, value: string, offset: number): void {
    const { entry, isNew } = this.table.add(this.#foldsKeys ? key.toLowerCase() : key, value);
    if (isNew) return;
    if (this.#winner === "last") this.table.setValue(entry, value);
    this.warnings.add(offset, describeDuplicate(key, this.#winner));
  }
}

export const describeDuplicate = (key: string, winner: Winner): string =>
  `${shorten(key)} stands here a second time: the ${winner} one counts`;

/** Of a key or a line that is shown in a message, in characters. */
const MAX_SHOWN = 60;

export const shorten = (text: string): string =>
  JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
