const LF = 0x0a;
const CR = 0x0d;

/** Decoded at a time, in bytes: nearly every command or reply, or several that came together. */
const WINDOW_BYTES = 512;

export type Line =
  /** `text` holds one character a byte (latin1), without its line end. */
  | { readonly kind: "line"; readonly text: string }
  /** The line was discarded up to its end, so the stream stays in step. */
  | { readonly kind: "too-long" };

const TOO_LONG: Line = { kind: "too-long" };

/**
 * Cuts a byte stream into lines ending in LF or CR LF, on demand, so that whoever reads the lines
 * can stop at any of them and take the bytes that follow for something else, such as a message.
 */
export class LineDecoder {
  readonly #maxLineBytes: number;
  /** Beginnings of the current line, from chunks before the present one. */
  #pieces: string[] = [];
  #piecesBytes = 0;
  #isDiscarding = false;
  #chunk: Buffer | undefined;
  #at = 0;
  #later: Buffer[] = [];
  /** A part of the present chunk as text: to search and cut text costs much less than bytes. */
  #window = "";
  #windowFrom = 0;
  #windowEnd = 0;

  /** @param maxLineBytes longest line, its end included */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#chunk === undefined) {
      this.#chunk = chunk;
      this.#at = 0;
    } else this.#later.push(chunk);
  }

  /** Whether bytes wait that were not given out yet. */
  get hasInput(): boolean {
    return this.#chunk !== undefined || this.#piecesBytes > 0;
  }

  next(): Line | undefined {
    while (this.#chunk !== undefined) {
      const chunk = this.#chunk;
      const from = this.#at;
      const end = this.#findLineEnd(chunk, from);
      if (end === -1) {
        this.#keep(chunk, from);
        this.#advance();
        continue;
      }
      const line = this.#finish(chunk, from, end);
      this.#at = end + 1;
      if (this.#at === chunk.length) this.#advance();
      return line;
    }
    return undefined;
  }

  /** The next bytes after the last line given, whatever they are; only while no line is half read. */
  take(): Buffer | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    const bytes = this.#at === 0 ? chunk : chunk.subarray(this.#at);
    this.#advance();
    return bytes;
  }

  /** Puts back what was taken too much. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#chunk !== undefined) this.#later.unshift(this.#chunk.subarray(this.#at));
    this.#chunk = bytes;
    this.#at = 0;
    this.#windowEnd = 0;
  }

  #findLineEnd(chunk: Buffer, from: number): number {
    if (from < this.#windowEnd) {
      const found = this.#window.indexOf("\n", from - this.#windowFrom);
      if (found !== -1) return this.#windowFrom + found;
    }
    this.#windowFrom = from;
    this.#windowEnd = Math.min(from + WINDOW_BYTES, chunk.length);
    this.#window = chunk.toString("latin1", from, this.#windowEnd);
    const found = this.#window.indexOf("\n");
    if (found !== -1) return from + found;
    return this.#windowEnd === chunk.length ? -1 : chunk.indexOf(LF, this.#windowEnd);
  }

  #textOf(chunk: Buffer, from: number, end: number): string {
    if (end > this.#windowEnd) return chunk.toString("latin1", from, end);
    return this.#window.slice(from - this.#windowFrom, end - this.#windowFrom);
  }

  #keep(chunk: Buffer, from: number): void {
    if (this.#isDiscarding) return;
    this.#piecesBytes += chunk.length - from;
    if (this.#piecesBytes > this.#maxLineBytes) {
      this.#isDiscarding = true;
      this.#pieces = [];
    } else this.#pieces.push(chunk.toString("latin1", from, chunk.length));
  }

  #advance(): void {
    this.#chunk = this.#later.shift();
    this.#at = 0;
    this.#windowEnd = 0;
  }

  #finish(chunk: Buffer, from: number, end: number): Line {
    const bytes = this.#piecesBytes + (end + 1 - from);
    if (this.#piecesBytes === 0) {
      if (bytes > this.#maxLineBytes) return TOO_LONG;
      const textEnd = end > from && chunk[end - 1] === CR ? end - 1 : end;
      return { kind: "line", text: this.#textOf(chunk, from, textEnd) };
    }
    const isTooLong = this.#isDiscarding || bytes > this.#maxLineBytes;
    const text = isTooLong ? "" : this.#pieces.join("") + chunk.toString("latin1", from, end);
    this.#pieces = [];
    this.#piecesBytes = 0;
    this.#isDiscarding = false;
    if (isTooLong) return TOO_LONG;
    return { kind: "line", text: text.endsWith("\r") ? text.slice(0, -1) : text };
  }
}
