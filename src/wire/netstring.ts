import { ChunkQueue, PartialMessage } from "./chunk-queue.ts";
import { encodeText, encodeTextAsLatin1 } from "./text.ts";

const COLON = 0x3a;
const COMMA = 0x2c;
const ZERO = 0x30;
const COMMA_BYTES = Buffer.from(",");

/** Digits of a length, before any limit is looked at: ten count to 9 GB. */
const MAX_LENGTH_DIGITS = 10;

export type NetstringEvent =
  /** `bytes` may be a view of what was pushed. */
  { readonly kind: "payload"; readonly bytes: Buffer } | { readonly kind: "malformed"; readonly reason: string };

/**
 * Turns a byte stream into netstring payloads, on demand and however the bytes were cut.
 * After `malformed` the stream has lost step and nothing more comes: answer what came before it, then close.
 * Source: D. J. Bernstein, "Netstrings", 1997, read strictly.
 */
export class NetstringDecoder {
  readonly #maxPayloadBytes: number;
  readonly #input = new ChunkQueue();
  readonly #payload = new PartialMessage();
  #lengthDigits = 0;
  #payloadBytes = 0;
  #isInPayload = false;
  #isBroken = false;

  /** @param maxPayloadBytes longest payload; a longer one is refused before any of it is kept */
  constructor(maxPayloadBytes: number) {
    this.#maxPayloadBytes = maxPayloadBytes;
  }

  /** Whether bytes wait that were not given out yet. */
  get hasInput(): boolean {
    return this.#input.chunk !== undefined || this.#lengthDigits > 0 || this.#isInPayload;
  }

  push(chunk: Buffer): void {
    if (!this.#isBroken) this.#input.push(chunk);
  }

  next(): NetstringEvent | undefined {
    const input = this.#input;
    while (input.chunk !== undefined) {
      if (!this.#isInPayload) {
        const fault = this.#readLength(input.chunk);
        if (fault !== undefined) return this.#break(fault);
        continue;
      }
      const { chunk, at } = input;
      const end = at + this.#payloadBytes - this.#payload.length;
      if (end >= chunk.length) {
        this.#payload.append(chunk, at, chunk.length);
        input.skipTo(chunk.length);
        continue;
      }
      if (chunk[end] !== COMMA) return this.#break("no comma after payload");
      const bytes = this.#finishPayload(chunk, at, end);
      input.skipTo(end + 1);
      return { kind: "payload", bytes };
    }
    return undefined;
  }

  /** Reads up to the colon, or to the end of the chunk. */
  #readLength(chunk: Buffer): string | undefined {
    for (let at = this.#input.at; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (byte === COLON) {
        if (this.#lengthDigits === 0) return "no length before the colon";
        if (this.#payloadBytes > this.#maxPayloadBytes) return `payload exceeds ${this.#maxPayloadBytes} bytes`;
        this.#isInPayload = true;
        this.#input.skipTo(at + 1);
        return undefined;
      }
      const digit = byte - ZERO;
      if (digit < 0 || digit > 9) return "length is not a number";
      if (this.#lengthDigits > 0 && this.#payloadBytes === 0) return "length has a leading zero";
      if (this.#lengthDigits === MAX_LENGTH_DIGITS) return `length has more than ${MAX_LENGTH_DIGITS} digits`;
      this.#lengthDigits += 1;
      this.#payloadBytes = 10 * this.#payloadBytes + digit;
    }
    this.#input.skipTo(chunk.length);
    return undefined;
  }

  #finishPayload(chunk: Buffer, from: number, end: number): Buffer {
    this.#lengthDigits = 0;
    this.#payloadBytes = 0;
    this.#isInPayload = false;
    if (this.#payload.length === 0) return chunk.subarray(from, end);
    this.#payload.append(chunk, from, end);
    return this.#payload.take();
  }

  #break(reason: string): NetstringEvent {
    this.#isBroken = true;
    this.#isInPayload = false;
    this.#lengthDigits = 0;
    this.#input.clear();
    this.#payload.clear();
    return { kind: "malformed", reason };
  }
}

/** As `encodeNetstring`, one character a byte: how small replies are written fastest. */
export function encodeNetstringAsLatin1(payload: string): string {
  const characters = encodeTextAsLatin1(payload);
  return `${characters.length}:${characters},`;
}

export function encodeNetstring(payload: string | Buffer): Buffer {
  if (typeof payload === "string" && payload.isWellFormed())
    return Buffer.from(`${Buffer.byteLength(payload)}:${payload},`);
  const bytes = typeof payload === "string" ? encodeText(payload) : payload;
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, COMMA_BYTES]);
}
