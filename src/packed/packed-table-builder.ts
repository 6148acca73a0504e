import { randomBytes } from "node:crypto";
import { allocatePacked, EMPTY_SLOT, equalsKey, hashBytes, viewPacked } from "./packed-table.ts";

/** The keys are looked up in at least twice as many slots, so that a search ends after a step or two. */
const SLOTS_PER_KEY = 2;

export interface Added {
  /** Number of the key, counted from 0 in the order of adding. */
  readonly entry: number;
  readonly isNew: boolean;
}

/** How many keys are of a kind, and the number of the first one: 0 if there is none. */
export interface KeysOfKind {
  readonly count: number;
  readonly first: number;
}

/** Collects the entries of a table; nothing of it is an object per entry. */
export class PackedTableBuilder {
  readonly #seed = randomBytes(4).readUInt32LE();
  readonly #valueNumbers = new Map<string, number>();
  readonly #values: string[] = [];
  #slots = new Uint32Array(1024);
  #keys = Buffer.allocUnsafeSlow(16_384);
  #keyBytes = 0;
  #keyStarts = new Uint32Array(512);
  #valueIds = new Uint32Array(512);
  #keyCount = 0;
  #atSignCount = 0;
  #firstWithAtSign = 0;
  #firstWithoutAtSign = 0;

  get keyCount(): number {
    return this.#keyCount;
  }

  get keysWithAtSign(): KeysOfKind {
    return { count: this.#atSignCount, first: this.#firstWithAtSign };
  }

  get keysWithoutAtSign(): KeysOfKind {
    return { count: this.#keyCount - this.#atSignCount, first: this.#firstWithoutAtSign };
  }

  /** The distinct values; the position of each is its number. */
  get values(): readonly string[] {
    return this.#values;
  }

  /** Adds a key that is not there yet. One that is keeps its value: see `setValue`. */
  add(key: string, value: string): Added {
    const length = this.#appendKey(key);
    const start = this.#keyBytes;
    const mask = this.#slots.length - 1;
    let slot = hashBytes(this.#keys, start, start + length, this.#seed) & mask;
    for (;;) {
      const taken = this.#slots[slot] ?? EMPTY_SLOT;
      if (taken === EMPTY_SLOT) break;
      const from = this.#keyStarts[taken - 1] ?? 0;
      if (equalsKey(this.#keys, from, this.#endOf(taken - 1), this.#keys, start, length))
        return { entry: taken - 1, isNew: false };
      slot = (slot + 1) & mask;
    }
    const entry = this.#keyCount++;
    if (entry === this.#keyStarts.length) this.#growEntries();
    this.#keyStarts[entry] = start;
    this.#keyBytes += length;
    this.#valueIds[entry] = this.#numberOf(value);
    this.#slots[slot] = entry + 1;
    this.#countAtSign(key, entry);
    if (this.#keyCount * SLOTS_PER_KEY > this.#slots.length) this.#growSlots();
    return { entry, isNew: true };
  }

  setValue(entry: number, value: string): void {
    this.#valueIds[entry] = this.#numberOf(value);
  }

  keyAt(entry: number): string {
    return this.#keys.toString("utf8", this.#keyStarts[entry], this.#endOf(entry));
  }

  valueNumberAt(entry: number): number {
    return this.#valueIds[entry] ?? 0;
  }

  valueAt(entry: number): string {
    return this.#values[this.valueNumberAt(entry)] ?? "";
  }

  /** Gives every entry with the value `from` the value `to`. */
  renameValue(from: string, to: string): void {
    const number = this.#valueNumbers.get(from);
    if (number === undefined || from === to) return;
    this.#values[number] = to;
    this.#valueNumbers.delete(from);
    // Entries that had `to` before keep their own number, and both numbers now mean the same.
    if (!this.#valueNumbers.has(to)) this.#valueNumbers.set(to, number);
  }

  finish(): SharedArrayBuffer {
    const valueBytes = this.#values.reduce((sum, value) => sum + Buffer.byteLength(value), 0);
    const counts = {
      seed: this.#seed,
      slotCount: this.#slots.length,
      keyCount: this.#keyCount,
      valueCount: this.#values.length,
      keyBytes: this.#keyBytes,
    };
    const packed = allocatePacked(counts, valueBytes);
    const views = viewPacked(packed);
    views.slots.set(this.#slots);
    views.keyStarts.set(this.#keyStarts.subarray(0, this.#keyCount));
    views.keyStarts[this.#keyCount] = this.#keyBytes;
    views.valueIds.set(this.#valueIds.subarray(0, this.#keyCount));
    views.keys.set(this.#keys.subarray(0, this.#keyBytes));
    let at = 0;
    for (const [number, value] of this.#values.entries()) {
      views.valueStarts[number] = at;
      at += views.values.write(value, at, "utf8");
    }
    views.valueStarts[this.#values.length] = at;
    return packed;
  }

  /** Writes the key behind the last one; it counts only once `#keyBytes` covers it. */
  #appendKey(key: string): number {
    const worstBytes = key.length * 3;
    if (this.#keyBytes + worstBytes > this.#keys.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#keys.length * 2, this.#keyBytes + worstBytes));
      this.#keys.copy(grown, 0, 0, this.#keyBytes);
      this.#keys = grown;
    }
    return this.#keys.write(key, this.#keyBytes, "utf8");
  }

  #countAtSign(key: string, entry: number): void {
    if (key.includes("@")) {
      if (this.#atSignCount === 0) this.#firstWithAtSign = entry;
      this.#atSignCount++;
    } else if (this.#atSignCount === entry) this.#firstWithoutAtSign = entry; // all before it have one
  }

  #endOf(entry: number): number {
    return entry + 1 < this.#keyCount ? (this.#keyStarts[entry + 1] ?? 0) : this.#keyBytes;
  }

  #numberOf(value: string): number {
    const known = this.#valueNumbers.get(value);
    if (known !== undefined) return known;
    this.#valueNumbers.set(value, this.#values.length);
    return this.#values.push(value) - 1;
  }

  #growEntries(): void {
    const keyStarts = new Uint32Array(this.#keyStarts.length * 2);
    keyStarts.set(this.#keyStarts);
    this.#keyStarts = keyStarts;
    const valueIds = new Uint32Array(this.#valueIds.length * 2);
    valueIds.set(this.#valueIds);
    this.#valueIds = valueIds;
  }

  #growSlots(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let entry = 0; entry < this.#keyCount; entry++) {
      let slot = hashBytes(this.#keys, this.#keyStarts[entry] ?? 0, this.#endOf(entry), this.#seed) & mask;
      while (this.#slots[slot] !== EMPTY_SLOT) slot = (slot + 1) & mask;
      this.#slots[slot] = entry + 1;
    }
  }
}
