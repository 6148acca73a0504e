const CR = 0x0d;
const LF = 0x0a;

export interface Scan {
  /** Bytes that belong to the message, as they came. */
  readonly body: Buffer;
  /** What follows the end of data; undefined: the end has not come. */
  readonly rest: Buffer | undefined;
}

interface Grammar {
  /** The end of data; its first group is what of it belongs to the body. */
  readonly end: RegExp;
  /** At the end of what has come: bytes that may turn out to be the final dot. */
  readonly maybe: RegExp;
}

const GRAMMARS: Record<"strict" | "lenient", Grammar> = {
  strict: { end: /(\r\n)\.\r\n/, maybe: /\r\n(\.\r?)$/ },
  lenient: { end: /(\n)\r*\.\r*\n/, maybe: /\n(\r{0,8}\.?\r{0,8})$/ },
};

/** Finds the end of a dot-stuffed message. Bytes that may be the final dot are held back until that is known. */
export class BodyScanner {
  /** Bare CRs and LFs met. */
  readonly faults: string[] = [];
  readonly #grammar: Grammar;
  /** The last two bytes already given out, at first the CR LF that ends the DATA line. */
  #before: Buffer = Buffer.from("\r\n");
  #held: Buffer = Buffer.alloc(0);

  constructor(mode: "strict" | "lenient") {
    this.#grammar = GRAMMARS[mode];
  }

  scan(chunk: Buffer): Scan {
    const bytes = Buffer.concat([this.#before, this.#held, chunk]);
    const known = this.#before.length;
    const text = bytes.toString("latin1");
    const end = this.#grammar.end.exec(text);
    if (end !== null) {
      const bodyEnd = end.index + (end[1] ?? "").length;
      const restStart = end.index + end[0].length;
      this.#note(bytes.subarray(0, restStart));
      return { body: bytes.subarray(known, Math.max(known, bodyEnd)), rest: bytes.subarray(restStart) };
    }
    this.#note(bytes);
    const heldBytes = (this.#grammar.maybe.exec(text.slice(-20))?.[1] ?? "").length;
    const upTo = Math.max(known, bytes.length - heldBytes);
    this.#held = bytes.subarray(upTo);
    this.#before = bytes.subarray(upTo - 2, upTo);
    return { body: bytes.subarray(known, upTo), rest: undefined };
  }

  /** What was held back, once the stream has ended without an end of data. */
  flush(): Buffer {
    return this.#held;
  }

  #note(bytes: Buffer): void {
    for (let at = bytes.indexOf(LF, 1); at >= 0; at = bytes.indexOf(LF, at + 1))
      if (bytes[at - 1] !== CR) this.#fault("bare LF in the body");
    for (let at = bytes.indexOf(CR); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(CR, at + 1))
      if (bytes[at + 1] !== LF) this.#fault("bare CR in the body");
  }

  #fault(text: string): void {
    if (!this.faults.includes(text)) this.faults.push(text);
  }
}
