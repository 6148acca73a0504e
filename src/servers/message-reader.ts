import { MessageBody } from "../protocols/lmtp/message-body.ts";
import { reply, type Reply } from "../protocols/lmtp/reply.ts";
import type { IncomingMessage, SessionLimits } from "./service.ts";

export const NO_RECIPIENTS = reply(503, "5.5.1", "No valid recipients");
const CHUNK_OK = reply(250, "2.0.0", "Chunk taken");

/** Reads the content that follows DATA into a message. */
export class DataReader {
  readonly #message: IncomingMessage;
  readonly #body: MessageBody;

  constructor(message: IncomingMessage, limits: SessionLimits) {
    this.#message = message;
    this.#body = new MessageBody("dots", limits);
  }

  /** @returns the bytes after the message, once it is complete */
  take(bytes: Buffer): Buffer | undefined {
    const part = feed(this.#message, this.#body, bytes);
    return part.isEnd ? (part.rest ?? Buffer.alloc(0)) : undefined;
  }
}

/** What follows a chunk: replies, or the end of the message, whose replies are the message's own. */
export type ChunkEnd =
  | { readonly kind: "replies"; readonly replies: readonly Reply[]; readonly isLast: boolean }
  | { readonly kind: "complete" };

/** Reads the chunks of BDAT into a message. RFC 3030 section 2, RFC 2033 section 4.3. */
export class ChunkReader {
  readonly #message: IncomingMessage | undefined;
  readonly #body: MessageBody;
  /** Why chunks are only read and thrown away. */
  #refusal: Reply | undefined;

  constructor(message: IncomingMessage | undefined, limits: SessionLimits) {
    this.#message = message;
    this.#body = new MessageBody("octets", limits);
    if (message === undefined) this.#refusal = NO_RECIPIENTS;
  }

  refuse(refusal: Reply): void {
    this.#refusal = refusal;
  }

  take(bytes: Buffer): void {
    if (this.#refusal === undefined && this.#message !== undefined) feed(this.#message, this.#body, bytes);
  }

  end(isLast: boolean): ChunkEnd {
    const message = this.#message;
    if (this.#refusal === undefined && message !== undefined) {
      if (!isLast) return { kind: "replies", replies: [CHUNK_OK], isLast };
      const hadFault = this.#body.fault !== undefined;
      message.write([this.#body.finish()]);
      if (!hadFault && this.#body.fault !== undefined) message.refuseBody(this.#body.fault);
      return { kind: "complete" };
    }
    // Said again at each chunk: a 503 to those that a client has pipelined would bounce what the first only delayed.
    const refusal = this.#refusal ?? NO_RECIPIENTS;
    // The last chunk has one reply for each recipient that was accepted: none at all where none was.
    const count = isLast ? (message?.acceptedCount ?? 0) : 1;
    return { kind: "replies", replies: Array.from({ length: count }, () => refusal), isLast };
  }
}

function feed(message: IncomingMessage, body: MessageBody, bytes: Buffer): ReturnType<MessageBody["feed"]> {
  const hadFault = body.fault !== undefined;
  const part = body.feed(bytes);
  if (!hadFault && body.fault !== undefined) message.refuseBody(body.fault);
  message.write(part.pieces);
  return part;
}
