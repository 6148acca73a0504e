import { BodyDecoder, type BodyPart } from "../../wire/body-decoder.ts";
import { reply, type Reply } from "./reply.ts";

export interface MessageBodyOptions {
  readonly maxMessageBytes: number | undefined;
  readonly newlines: "normalize" | "reject";
}

const TOO_BIG = reply(552, "5.3.4", "Message is larger than this server takes");
const BARE_NEWLINE = reply(554, "5.6.0", "Message has a bare CR or LF");

/** A message on its way in, and whether our own rules still allow it. */
export class MessageBody {
  readonly #decoder: BodyDecoder;
  readonly #options: MessageBodyOptions;

  /** @param source `dots`: what follows DATA; `octets`: what follows BDAT */
  constructor(source: "dots" | "octets", options: MessageBodyOptions) {
    this.#options = options;
    this.#decoder = new BodyDecoder(source);
  }

  feed(chunk: Buffer): BodyPart {
    return this.#decoder.feed(chunk);
  }

  /** What completes content of source `octets`. */
  finish(): Buffer {
    return this.#decoder.finish();
  }

  /** The final reply for every recipient, once the content broke a rule. */
  get fault(): Reply | undefined {
    const { maxMessageBytes, newlines } = this.#options;
    if (maxMessageBytes !== undefined && this.#decoder.contentBytes > maxMessageBytes) return TOO_BIG;
    if (newlines === "reject" && this.#decoder.hasBareNewline) return BARE_NEWLINE;
    return undefined;
  }
}
