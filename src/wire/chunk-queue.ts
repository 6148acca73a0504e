const NOTHING = Buffer.alloc(0);
const FIRST_CAPACITY_BYTES = 256;

/** Chunks as they came, read from the front: what a decoder has not looked at yet. */
export class ChunkQueue {
  /** The chunk being read; never empty. */
  chunk: Buffer | undefined;
  /** The next byte in it. */
  at = 0;
  readonly #later: Buffer[] = [];

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.chunk === undefined) this.chunk = chunk;
    else this.#later.push(chunk);
  }

  /** Goes on at `at` of the present chunk, which may be its end. */
  skipTo(at: number): void {
    this.at = at;
    if (this.chunk === undefined || at < this.chunk.length) return;
    this.chunk = this.#later.shift();
    this.at = 0;
  }

  clear(): void {
    this.chunk = undefined;
    this.at = 0;
    this.#later.length = 0;
  }
}

/**
 * The beginning of a message whose end has not come yet. It is copied: a view of one byte would keep a whole read buffer
 * of 64 KiB alive. It grows by doubling, so that bytes which come one by one cost no more than linear time.
 */
export class PartialMessage {
  #bytes: Buffer = NOTHING;
  length = 0;

  append(chunk: Buffer, from: number, end: number): void {
    const length = this.length + (end - from);
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#bytes.length, FIRST_CAPACITY_BYTES));
      this.#bytes.copy(larger, 0, 0, this.length);
      this.#bytes = larger;
    }
    chunk.copy(this.#bytes, this.length, from, end);
    this.length = length;
  }

  /** All of it; the next message begins with nothing. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.length);
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#bytes = NOTHING;
    this.length = 0;
  }
}
