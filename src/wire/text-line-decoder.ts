import { ChunkQueue, PartialMessage } from "./chunk-queue.ts";
import { decodeText } from "./text.ts";

const LF = 0x0a;

export type TextLine =
  /** `text` as `decodeText` gives it, without its LF. A CR before that stays. */
  | { readonly kind: "line"; readonly text: string }
  /** Nothing more comes after it. */
  | { readonly kind: "too-long" };

/** Cuts a byte stream into lines that end in LF alone, on demand and however the bytes were cut. */
export class TextLineDecoder {
  readonly #maxLineBytes: number;
  readonly #input = new ChunkQueue();
  readonly #line = new PartialMessage();
  #isBroken = false;

  /** @param maxLineBytes longest line, its end included */
  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Whether bytes wait that were not given out yet. */
  get hasInput(): boolean {
    return this.#input.chunk !== undefined || this.#line.length > 0;
  }

  push(chunk: Buffer): void {
    if (!this.#isBroken) this.#input.push(chunk);
  }

  next(): TextLine | undefined {
    const input = this.#input;
    while (input.chunk !== undefined) {
      const { chunk, at } = input;
      const newline = chunk.indexOf(LF, at);
      const end = newline === -1 ? chunk.length : newline;
      if (this.#line.length + (end - at) >= this.#maxLineBytes) return this.#break();
      if (newline === -1) {
        this.#line.append(chunk, at, end);
        input.skipTo(end);
        continue;
      }
      const text = this.#finishLine(chunk, at, end);
      input.skipTo(end + 1);
      return { kind: "line", text };
    }
    return undefined;
  }

  #finishLine(chunk: Buffer, from: number, end: number): string {
    if (this.#line.length === 0) return decodeText(chunk, from, end);
    this.#line.append(chunk, from, end);
    return decodeText(this.#line.take());
  }

  #break(): TextLine {
    this.#isBroken = true;
    this.#input.clear();
    this.#line.clear();
    return { kind: "too-long" };
  }
}
