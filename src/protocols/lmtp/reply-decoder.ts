import { LineDecoder } from "../../wire/line-decoder.ts";
import type { Reply } from "./reply.ts";

export type ReplyEvent =
  | { readonly kind: "reply"; readonly reply: Reply }
  /** The peer does not speak SMTP or has no end of it: whatever follows has no meaning. */
  | { readonly kind: "malformed"; readonly reason: string };

/** RFC 5321 4.5.3.1.5 says 512; servers with long texts exist, Dovecot's proxy takes 4096 for a whole reply. */
export const MAX_REPLY_LINE_BYTES = 4096;
/** Longest whole reply in bytes: it is kept for its recipient while the transaction lasts. Dovecot's proxy takes 4096. */
export const MAX_REPLY_BYTES = 8192;
/** A LHLO reply with every known extension has about 20. */
export const MAX_REPLY_LINES = 128;

const BLANK = 0x20;
const HYPHEN = 0x2d;
const ZERO = 0x30;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const CONTROLS = new RegExp(CONTROL, "g");
const ENHANCED = /^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)/;

/** Turns what a server sends into replies, however the bytes were cut. */
export class ReplyDecoder {
  readonly #lines = new LineDecoder(MAX_REPLY_LINE_BYTES);
  #code = 0;
  #enhanced: string | undefined;
  #texts: string[] = [];
  #bytes = 0;

  /** Whether a reply has begun that is not complete. */
  get hasInput(): boolean {
    return this.#texts.length > 0 || this.#lines.hasInput;
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  next(): ReplyEvent | undefined {
    for (;;) {
      const line = this.#lines.next();
      if (line === undefined) return undefined;
      if (line.kind === "too-long")
        return { kind: "malformed", reason: `reply line over ${MAX_REPLY_LINE_BYTES} bytes` };
      const code = codeOf(line.text);
      const mark = line.text.length === 3 ? BLANK : line.text.charCodeAt(3);
      if (code === undefined || (mark !== BLANK && mark !== HYPHEN))
        return { kind: "malformed", reason: `not a reply: "${line.text.slice(0, 80)}"` };
      if (this.#texts.length > 0 && code !== this.#code)
        return { kind: "malformed", reason: `reply changes its code from ${this.#code} to ${code}` };
      this.#bytes += line.text.length;
      if (this.#bytes > MAX_REPLY_BYTES) return { kind: "malformed", reason: `reply over ${MAX_REPLY_BYTES} bytes` };
      this.#code = code;
      this.#texts.push(this.#takeText(line.text.slice(4)));
      if (mark !== HYPHEN) return { kind: "reply", reply: this.#finish() };
      if (this.#texts.length >= MAX_REPLY_LINES)
        return { kind: "malformed", reason: `reply of more than ${MAX_REPLY_LINES} lines` };
    }
  }

  /** Splits an enhanced code off; one whose class is not the reply's is no such code. RFC 2034 section 4. */
  #takeText(given: string): string {
    // A stray control character must reach neither our client nor the log.
    const text = CONTROL.test(given) ? given.replace(CONTROLS, "?") : given;
    const match = ENHANCED.exec(text);
    if (match === null || match[1]?.charCodeAt(0) !== ZERO + Math.floor(this.#code / 100)) return text;
    this.#enhanced = match[1];
    return text.slice(match[0].length);
  }

  #finish(): Reply {
    const reply: Reply = { code: this.#code, enhanced: this.#enhanced, lines: this.#texts };
    this.#texts = [];
    this.#bytes = 0;
    this.#enhanced = undefined;
    return reply;
  }
}

/** Three digits, the first of them 2 to 5. RFC 5321 section 4.2. */
function codeOf(line: string): number | undefined {
  const first = line.charCodeAt(0) - ZERO;
  const second = line.charCodeAt(1) - ZERO;
  const third = line.charCodeAt(2) - ZERO;
  const isCode = first >= 2 && first <= 5 && second >= 0 && second <= 9 && third >= 0 && third <= 9;
  return isCode ? first * 100 + second * 10 + third : undefined;
}
