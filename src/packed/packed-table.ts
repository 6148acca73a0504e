/**
 * A table of any size in one SharedArrayBuffer: built in a worker, posted without a copy, read in place.
 * (A Map of a million entries, posted, blocks the receiving thread for a whole second.)
 *
 * Layout, all numbers 32 bits: the header, the hash slots, the start of each key, the id of each key's value,
 * the start of each value, then the keys and the values in UTF-8. Equal values are stored once.
 */
export const HEADER_WORDS = 5;
const SEED = 0;
const SLOTS = 1;
const KEYS = 2;
const VALUES = 3;
const KEY_BYTES = 4;

/** A slot that holds no key; others hold the key's number plus one. */
export const EMPTY_SLOT = 0;

export interface PackedCounts {
  readonly seed: number;
  /** A power of two. */
  readonly slotCount: number;
  readonly keyCount: number;
  readonly valueCount: number;
  readonly keyBytes: number;
}

/** The parts of a packed table, as views into its one buffer. */
export interface PackedViews {
  readonly slots: Uint32Array;
  /** Where each key starts in `keys`, and one entry more: where the last one ends. */
  readonly keyStarts: Uint32Array;
  readonly valueIds: Uint32Array;
  /** As `keyStarts`, for `values`. */
  readonly valueStarts: Uint32Array;
  readonly keys: Buffer;
  readonly values: Buffer;
}

export function allocatePacked(counts: PackedCounts, valueBytes: number): SharedArrayBuffer {
  const words = HEADER_WORDS + counts.slotCount + (counts.keyCount + 1) + counts.keyCount + (counts.valueCount + 1);
  const packed = new SharedArrayBuffer(words * 4 + counts.keyBytes + valueBytes);
  const header = new Uint32Array(packed, 0, HEADER_WORDS);
  header[SEED] = counts.seed;
  header[SLOTS] = counts.slotCount;
  header[KEYS] = counts.keyCount;
  header[VALUES] = counts.valueCount;
  header[KEY_BYTES] = counts.keyBytes;
  return packed;
}

export function readCounts(packed: SharedArrayBuffer): PackedCounts {
  const header = new Uint32Array(packed, 0, HEADER_WORDS);
  return {
    seed: header[SEED] ?? 0,
    slotCount: header[SLOTS] ?? 0,
    keyCount: header[KEYS] ?? 0,
    valueCount: header[VALUES] ?? 0,
    keyBytes: header[KEY_BYTES] ?? 0,
  };
}

export function viewPacked(packed: SharedArrayBuffer): PackedViews {
  const counts = readCounts(packed);
  let at = HEADER_WORDS * 4;
  const words = (count: number): Uint32Array => {
    const view = new Uint32Array(packed, at, count);
    at += count * 4;
    return view;
  };
  const slots = words(counts.slotCount);
  const keyStarts = words(counts.keyCount + 1);
  const valueIds = words(counts.keyCount);
  const valueStarts = words(counts.valueCount + 1);
  const keys = Buffer.from(packed, at, counts.keyBytes);
  return { slots, keyStarts, valueIds, valueStarts, keys, values: Buffer.from(packed, at + counts.keyBytes) };
}

/**
 * FNV-1a over bytes, its bits mixed as in MurmurHash3's last step because the slots use the low ones only.
 * Seeded, so that nobody who may choose user names can choose them to collide.
 */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export interface PackedTable {
  readonly keyCount: number;
  find(key: string): string | undefined;
  /** Every key with its value, in the order in which they were added. */
  entries(): IterableIterator<[string, string]>;
}

/** Longest key looked up without an allocation, in bytes; no address is longer (RFC 5321 4.5.3.1). */
const SCRATCH_BYTES = 1024;

export function openPacked(packed: SharedArrayBuffer): PackedTable {
  const { seed, keyCount, valueCount } = readCounts(packed);
  const { slots, keyStarts, valueIds, valueStarts, keys, values } = viewPacked(packed);
  const scratch = Buffer.alloc(SCRATCH_BYTES);
  const decoded = Array.from<string | undefined>({ length: Math.min(valueCount, 1024) });

  function readValue(id: number): string {
    return (decoded[id] ??= values.toString("utf8", valueStarts[id], valueStarts[id + 1]));
  }

  function find(key: string): string | undefined {
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    const bytes = key.length * 3 <= SCRATCH_BYTES ? scratch : Buffer.alloc(key.length * 3);
    const length = bytes.write(key, 0, "utf8");
    const mask = slots.length - 1;
    for (let slot = hashBytes(bytes, 0, length, seed) & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] ?? EMPTY_SLOT;
      if (entry === EMPTY_SLOT) return undefined;
      if (equalsKey(keys, keyStarts[entry - 1] ?? 0, keyStarts[entry] ?? 0, bytes, 0, length))
        return readValue(valueIds[entry - 1] ?? 0);
    }
  }

  function* entries(): IterableIterator<[string, string]> {
    for (let entry = 0; entry < keyCount; entry++)
      yield [keys.toString("utf8", keyStarts[entry], keyStarts[entry + 1]), readValue(valueIds[entry] ?? 0)];
  }

  return { keyCount, find, entries };
}

/** Whether the key at `start`..`end` is the one of `length` bytes at `wantedStart` in `wanted`. */
export function equalsKey(
  keys: Uint8Array,
  start: number,
  end: number,
  wanted: Uint8Array,
  wantedStart: number,
  length: number,
): boolean {
  if (end - start !== length) return false;
  for (let at = 0; at < length; at++) if (keys[start + at] !== wanted[wantedStart + at]) return false;
  return true;
}
