const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const SPACE = 0x20;
const NOTHING_HELD = Buffer.alloc(0);

/** `line-start` follows a CR LF of the sender, where a dot is the sender's stuffing; after `new-line` a dot is content. */
type Place = "line-start" | "new-line" | "mid-line";

export interface BodyPart {
  /** What goes on to a store: dot-stuffed, without the final dot. Views of the input where nothing was rewritten. */
  readonly pieces: readonly Buffer[];
  /** The message is complete. Never with source `octets`, whose end the caller counts. */
  readonly isEnd: boolean;
  /** Bytes after the end of the message: the next commands. */
  readonly rest: Buffer | undefined;
}

/**
 * Takes a message as a client sends it and gives it as a store may read it, however it was cut.
 *
 * Source `dots` is what follows DATA: it ends with CR LF . CR LF and nothing else (RFC 5321 4.1.1.4), and passes as it
 * came until a bare CR or LF occurs. Source `octets` is what follows BDAT: without stuffing and end (RFC 3030).
 *
 * Some stores take LF.LF, LF.CRLF or CR.CR for an end of data (CVE-2023-51764 and its kin), so no bare CR or LF ever
 * leaves: a bare LF becomes CR LF, a bare CR a blank, and a line that we begin is stuffed.
 */
export class BodyDecoder {
  readonly #isStuffed: boolean;
  #place: Place = "line-start";
  /** At most two bytes whose meaning the next ones decide: CR, dot, dot CR. */
  #held: Buffer = NOTHING_HELD;
  #contentBytes = 0;
  #hasBareNewline = false;

  constructor(source: "dots" | "octets") {
    this.#isStuffed = source === "dots";
    if (!this.#isStuffed) this.#place = "new-line";
  }

  /** Bytes of content given out, as SIZE counts them: line ends included, stuffed dots not (RFC 1870 section 5). */
  get contentBytes(): number {
    return this.#contentBytes;
  }

  get hasBareNewline(): boolean {
    return this.#hasBareNewline;
  }

  feed(chunk: Buffer): BodyPart {
    // Rare: only when a chunk ends within a line end or a dot at a line's start.
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING_HELD;
    const text = bytes.toString("latin1", 0, bytes.length);
    const end = text.length;
    const out = new SpanWriter(bytes);
    let dots = 0;
    let at = 0;
    let holdFrom = end;
    let nextCr = -1;
    let nextLf = -1;
    let isEnd = false;
    while (at < end) {
      if (this.#place !== "mid-line" && text.charCodeAt(at) === DOT) {
        dots += 1;
        if (this.#place === "new-line") {
          out.replace(at, at, DOT, DOT);
          out.skipTo(at + 1);
        } else {
          const second = text.charCodeAt(at + 1); // NaN past the end
          if (at + 1 === end || (second === CR && at + 2 === end)) {
            dots -= 1;
            holdFrom = at;
            break;
          }
          if (second === CR && text.charCodeAt(at + 2) === LF) {
            dots -= 1;
            holdFrom = at;
            isEnd = true;
            break;
          }
          if (second === LF) {
            // The sender's line is empty once its stuffed dot is off: kept, ours would read as an end of data.
            dots -= 1;
            this.#hasBareNewline = true;
            out.replace(at, at + 2, CR, LF);
            this.#place = "new-line";
            at += 2;
            continue;
          }
        }
        at += 1;
      }
      this.#place = "mid-line";
      if (nextCr < at) nextCr = indexOrEnd(text, "\r", at);
      if (nextLf < at) nextLf = indexOrEnd(text, "\n", at);
      if (nextLf === nextCr + 1) {
        if (nextLf === end) {
          holdFrom = nextCr;
          break;
        }
        at = nextLf + 1;
        this.#place = this.#isStuffed ? "line-start" : "new-line";
      } else if (nextLf < nextCr) {
        this.#hasBareNewline = true;
        out.replace(nextLf, nextLf + 1, CR, LF);
        this.#place = "new-line";
        at = nextLf + 1;
      } else if (nextCr < end) {
        this.#hasBareNewline = true;
        out.replace(nextCr, nextCr + 1, SPACE);
        at = nextCr + 1;
      } else at = end;
    }
    const pieces = out.finish(holdFrom);
    this.#contentBytes += out.bytes - dots;
    if (isEnd) {
      const after = holdFrom + 3;
      return { pieces, isEnd, rest: after < end ? bytes.subarray(after) : undefined };
    }
    if (holdFrom < end) this.#held = Buffer.from(bytes.subarray(holdFrom));
    return { pieces, isEnd, rest: undefined };
  }

  /** Closes content of source `octets`: what is missing to its last line end. */
  finish(): Buffer {
    let missing = "";
    if (this.#held.length > 0) {
      this.#hasBareNewline = true;
      missing = " ";
    }
    if (missing !== "" || this.#place === "mid-line") missing += "\r\n";
    this.#contentBytes += missing.length;
    return Buffer.from(missing);
  }
}

function indexOrEnd(text: string, wanted: string, from: number): number {
  const at = text.indexOf(wanted, from);
  return at === -1 ? text.length : at;
}

/** Gives the input on as one view, or, from the first replacement on, as a copy with the replacements in it. */
class SpanWriter {
  readonly #input: Buffer;
  readonly #pieces: Buffer[] = [];
  /** Input bytes before this are given on. */
  #from = 0;
  #copy: Buffer | undefined;
  #copied = 0;
  bytes = 0;

  constructor(input: Buffer) {
    this.#input = input;
  }

  /** Puts one or two bytes in place of those between `from` and `to`. */
  replace(from: number, to: number, first: number, second?: number): void {
    // A replaced byte, or one inserted before a dot, makes two at the most.
    this.#copy ??= Buffer.allocUnsafe(2 * (this.#input.length - this.#from) + 2);
    this.#copied += this.#input.copy(this.#copy, this.#copied, this.#from, from);
    this.#copy[this.#copied++] = first;
    if (second !== undefined) this.#copy[this.#copied++] = second;
    this.#from = to;
  }

  skipTo(at: number): void {
    this.#from = at;
  }

  finish(to: number): readonly Buffer[] {
    if (this.#copy === undefined) {
      if (to > this.#from) this.#pieces.push(this.#input.subarray(this.#from, to));
      this.bytes = to - this.#from;
    } else {
      if (to > this.#from) this.#copied += this.#input.copy(this.#copy, this.#copied, this.#from, to);
      if (this.#copied > 0) this.#pieces.push(this.#copy.subarray(0, this.#copied));
      this.bytes = this.#copied;
    }
    return this.#pieces;
  }
}
