import type { Socket } from "node:net";
import { SmallReadSocket } from "./small-reads.ts";

export interface ConnectionEvents {
  onData(chunk: Buffer): void;
  /** The peer takes bytes again after `isCongested`. */
  onDrain(): void;
  /** The peer will send no more; it may still read. */
  onEnd(): void;
  /** Once, whoever closed. `reason` is a system error, such as `read ECONNRESET`, or undefined. */
  onClosed(reason: string | undefined): void;
}

/** What may wait for the end of the turn, in bytes: as much as a socket takes before it is congested. */
const MAX_WAITING_BYTES = 65_536;

let waiting: Connection[] = [];

function flushWaiting(): void {
  const flushed = waiting;
  waiting = [];
  for (const connection of flushed) connection.flush();
}

/**
 * A socket whose small writes of one turn leave in one system call, when all has been read that came in this turn, on any
 * connection. A peer then finds the next reply before it falls asleep: to wake it costs more than the reply itself.
 */
export class Connection {
  readonly #socket: Socket;
  #text = "";
  #waitingBytes = 0;
  #isFlushDue = false;
  #isCorked = false;
  #lastError: string | undefined;

  /** @param socket without Nagle's delay, as our listeners and dialer make them */
  constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket;
    const onData = (chunk: Buffer): void => events.onData(chunk);
    socket.on("data", onData);
    if (socket instanceof SmallReadSocket) socket.onChunk = onData;
    socket.on("drain", () => events.onDrain());
    socket.on("end", () => events.onEnd());
    socket.on("error", (error) => (this.#lastError = describeError(error)));
    socket.on("close", () => events.onClosed(this.#lastError));
  }

  /** Whether more than the socket's buffer waits to be taken by the peer. */
  get isCongested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** @param text one character a byte */
  writeText(text: string): void {
    this.#text += text;
    this.#flushLater(text.length);
  }

  writeBytes(chunk: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
    }
    this.#pushText();
    this.#socket.write(chunk);
    this.#flushLater(chunk.length);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what is written, then says that no more comes. */
  end(): void {
    this.flush();
    this.#socket.end();
  }

  /** Sends what is written, then closes in both directions. What the peer still says is lost, and may cost it our last words. */
  endAtOnce(): void {
    this.flush();
    // What the kernel has it sends by itself: to say the end first would be one more system call.
    if (this.#socket.writableLength === 0) this.#socket.destroy();
    else this.#socket.destroySoon();
  }

  destroy(): void {
    this.#text = "";
    this.#socket.destroy();
  }

  flush(): void {
    this.#isFlushDue = false;
    this.#waitingBytes = 0;
    this.#pushText();
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#socket.uncork();
  }

  #flushLater(bytes: number): void {
    this.#waitingBytes += bytes;
    if (this.#waitingBytes >= MAX_WAITING_BYTES) return this.flush();
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    if (waiting.push(this) === 1) setImmediate(flushWaiting);
  }

  #pushText(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    if (this.#socket.writable) this.#socket.write(text, "latin1");
  }
}

/** A name with several addresses fails with one error for each, in one that says nothing itself. */
function describeError(error: Error): string {
  if (error instanceof AggregateError)
    return error.errors.map((each) => (each instanceof Error ? each.message : String(each))).join(", ");
  return error.message;
}
