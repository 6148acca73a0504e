import type { Socket } from "node:net";
import type { Clock } from "../../core/clock.ts";
import { Deadline } from "../../core/deadline.ts";
import { Connection } from "../../net/connection.ts";
import { RequestDecoder } from "../../protocols/auth-http/request-decoder.ts";
import type { RequestHead } from "../../protocols/auth-http/request-decoder.ts";

export interface AuthHttpConnectionParts {
  /** The bytes with which a request is answered. Never throws or rejects. */
  readonly answer: (head: RequestHead) => Buffer | Promise<Buffer>;
  readonly clock: Clock;
  readonly onClosed: () => void;
}

/** How long a client may take for its request, and to close after our answer, in ms. nginx sends it in one piece. */
const PATIENCE_MS = 10_000;

/** One request and its answer; then the connection ends, as nginx expects. */
export class AuthHttpConnection {
  readonly #parts: AuthHttpConnectionParts;
  readonly #connection: Connection;
  readonly #deadline: Deadline;
  readonly #decoder = new RequestDecoder();
  #phase: "reading" | "answering" | "ending" = "reading";

  constructor(socket: Socket, parts: AuthHttpConnectionParts) {
    this.#parts = parts;
    this.#deadline = new Deadline(parts.clock, () => this.destroy());
    this.#deadline.set(PATIENCE_MS);
    this.#connection = new Connection(socket, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => undefined,
      onEnd: () => this.#onEnd(),
      onClosed: () => {
        this.#phase = "ending";
        this.#deadline.end();
        parts.onClosed();
      },
    });
  }

  /** A request that has come is answered, no other one is waited for. */
  stop(): void {
    if (this.#phase === "reading") this.destroy();
  }

  destroy(): void {
    this.#phase = "ending";
    this.#connection.destroy();
  }

  #onData(chunk: Buffer): void {
    if (this.#phase !== "reading") return;
    const head = this.#decoder.feed(chunk);
    if (head === undefined) return;
    this.#phase = "answering";
    this.#deadline.clear();
    const answer = this.#parts.answer(head);
    if (answer instanceof Promise) void answer.then((late) => this.#end(late));
    else this.#end(answer);
  }

  /** A client may say that it sends no more, and wait for its answer. */
  #onEnd(): void {
    if (this.#phase === "reading") this.destroy();
  }

  #end(answer: Buffer): void {
    if (this.#phase !== "answering") return;
    this.#phase = "ending";
    this.#connection.writeBytes(answer);
    this.#connection.end();
    this.#deadline.set(PATIENCE_MS);
  }
}
