import type { Socket } from "node:net";
import type { Clock } from "../../core/clock.ts";
import { Deadline } from "../../core/deadline.ts";
import { Connection } from "../../net/connection.ts";
import type { TableSession, Turn } from "./table-session.ts";

export interface TableConnectionParts {
  readonly session: TableSession;
  readonly clock: Clock;
  /** The connection is ended for what the client did. */
  readonly onFault: (reason: string) => void;
  readonly onClosed: () => void;
}

/**
 * How long half a request may wait for its rest, and a client may take no reply, in ms. A client that asks for
 * nothing is never closed: Postfix does that itself after 10 s and dies of it elsewhere (`postmap -q -`).
 */
const PATIENCE_MS = 60_000;

/** Read ahead of what is answered, in bytes; then reading pauses. */
const MAX_AHEAD_BYTES = 65_536;

/** How long a client may take to close after our last reply, in ms. */
const CLOSE_TIMEOUT_MS = 10_000;

/** One client's socket: the one place for order, for backpressure and for patience. */
export class TableConnection {
  readonly #parts: TableConnectionParts;
  readonly #connection: Connection;
  readonly #deadline: Deadline;
  /** Read since there was no whole request to answer. */
  #aheadBytes = 0;
  #isUnderWay = false;
  #isPaused = false;
  /** The client says no more. */
  #isAllSaid = false;
  #isStopping = false;
  #isEnding = false;
  #isClosed = false;
  #onDrain: (() => void) | undefined;

  constructor(socket: Socket, parts: TableConnectionParts) {
    this.#parts = parts;
    this.#deadline = new Deadline(parts.clock, () => this.#onImpatience());
    this.#connection = new Connection(socket, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#onDrained(),
      onEnd: () => {
        this.#isAllSaid = true;
        this.#pump();
      },
      onClosed: () => this.#onGone(),
    });
  }

  /** Answers what has come, then closes. */
  stop(): void {
    this.#isStopping = true;
    this.#pump();
  }

  destroy(): void {
    this.#isEnding = true;
    this.#connection.destroy();
  }

  #onData(chunk: Buffer): void {
    if (this.#isEnding) return;
    this.#parts.session.push(chunk);
    this.#aheadBytes += chunk.length;
    this.#pump();
  }

  /** Answers what can be answered now, then reads on, pauses or ends. */
  #pump(): void {
    while (!this.#isUnderWay && !this.#isEnding && !this.#connection.isCongested) {
      const turn = this.#parts.session.next();
      if (turn === undefined) {
        this.#aheadBytes = 0;
        break;
      }
      if (turn instanceof Promise) this.#await(turn);
      else this.#take(turn);
    }
    this.#settle();
  }

  #await(turn: Promise<Turn>): void {
    this.#isUnderWay = true;
    void turn.then((late) => {
      this.#isUnderWay = false;
      if (this.#isClosed) return;
      this.#take(late);
      this.#pump();
    });
  }

  #take(turn: Turn): void {
    switch (turn.kind) {
      case "reply":
        return this.#connection.writeText(turn.text);
      case "stream":
        this.#isUnderWay = true;
        void this.#stream(turn.pages);
        return;
      case "nothing":
        return;
      case "close":
        this.#parts.onFault(turn.reason);
        this.#end();
    }
  }

  async #stream(pages: AsyncIterable<Buffer>): Promise<void> {
    for await (const page of pages) {
      if (this.#isClosed) break;
      this.#connection.writeBytes(page);
      await this.#taken();
    }
    this.#isUnderWay = false;
    if (!this.#isClosed) this.#pump();
  }

  /** Resolves when the client has room for more, and not before others have had their turn. */
  #taken(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        if (this.#isClosed || !this.#connection.isCongested) return resolve();
        this.#onDrain = resolve;
        this.#deadline.set(PATIENCE_MS);
      });
    });
  }

  #onDrained(): void {
    this.#deadline.clear();
    const resume = this.#onDrain;
    this.#onDrain = undefined;
    resume?.();
    this.#pump();
  }

  #settle(): void {
    if (this.#isEnding) return;
    const { session } = this.#parts;
    const isIdle = !this.#isUnderWay && !this.#connection.isCongested;
    if (isIdle && (this.#isAllSaid || this.#isStopping)) return this.#end();
    if (this.#connection.isCongested || (isIdle && session.hasInput)) this.#deadline.set(PATIENCE_MS);
    else this.#deadline.clear();
    const isPaused = this.#connection.isCongested || (this.#isUnderWay && this.#aheadBytes > MAX_AHEAD_BYTES);
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#connection.pause();
    else this.#connection.resume();
  }

  #end(): void {
    this.#isEnding = true;
    this.#connection.end();
    // What still comes is of no use, but the end must be heard.
    this.#connection.resume();
    this.#deadline.set(CLOSE_TIMEOUT_MS);
  }

  #onImpatience(): void {
    if (!this.#isEnding)
      this.#parts.onFault(
        this.#connection.isCongested
          ? `it took no reply for ${PATIENCE_MS / 1000} s`
          : `half a request, and nothing more for ${PATIENCE_MS / 1000} s`,
      );
    this.destroy();
  }

  #onGone(): void {
    this.#isClosed = true;
    this.#isEnding = true;
    this.#deadline.end();
    this.#onDrain?.();
    this.#parts.onClosed();
  }
}
