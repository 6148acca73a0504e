import type { Socket } from "node:net";
import type { Clock, Timer } from "../../core/clock.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import { Connection } from "../../net/connection.ts";
import { dial } from "../../net/dialer.ts";
import { MAX_REPLY_BYTES } from "../../protocols/socketmap/reply.ts";
import { NetstringDecoder } from "../../wire/netstring.ts";
import { Slots } from "../wrappers/slots.ts";

/** Before the ten seconds after which Postfix itself takes a connection for unused, in ms; servers know that. */
const IDLE_MS = 8_000;

export type SocketmapReply =
  | { readonly kind: "payload"; readonly bytes: Buffer }
  | { readonly kind: "malformed"; readonly reason: string }
  | {
      readonly kind: "closed";
      readonly reason: string;
      /** Nothing of the reply came. */
      readonly wasUnanswered: boolean;
    };

/** Connections to one server, each with one request under way, as the protocol wants it. */
export class SocketmapClient {
  readonly #endpoint: Endpoint;
  readonly #clock: Clock;
  readonly #slots: Slots;
  /** The one used last is the last. */
  readonly #idle: MapConnection[] = [];

  constructor(endpoint: Endpoint, maxConnections: number, clock: Clock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#slots = new Slots(maxConnections);
  }

  /**
   * As Postfix does, asks a second time only where the server had closed an idle connection.
   * @throws what the signal was aborted with, and nothing else
   */
  async ask(request: Buffer, signal: AbortSignal): Promise<SocketmapReply> {
    signal.throwIfAborted();
    if (!this.#slots.tryTake() && !(await this.#waitForSlot(signal)))
      return { kind: "closed", reason: "too many lookups wait for a connection", wasUnanswered: true };
    try {
      const used = this.#idle.pop();
      const reply = await this.#askOn(used ?? this.#dial(), request, signal);
      const wasStale = used !== undefined && reply.kind === "closed" && reply.wasUnanswered;
      return wasStale ? await this.#askOn(this.#dial(), request, signal) : reply;
    } finally {
      this.#slots.release();
    }
  }

  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #dial(): MapConnection {
    const connection: MapConnection = new MapConnection(dial(this.#endpoint), () => {
      const at = this.#idle.indexOf(connection);
      if (at !== -1) this.#idle.splice(at, 1);
    });
    return connection;
  }

  async #askOn(connection: MapConnection, request: Buffer, signal: AbortSignal): Promise<SocketmapReply> {
    const reply = await connection.ask(request, signal);
    if (connection.isOpen) {
      this.#idle.push(connection);
      connection.closeAfter(IDLE_MS, this.#clock);
    }
    return reply;
  }

  /** @returns false if too many wait already */
  #waitForSlot(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const giveUp = this.#slots.wait(() => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
        return true;
      });
      const onAbort = (): void => {
        giveUp?.();
        reject(signal.reason as Error);
      };
      if (giveUp === undefined) resolve(false);
      else signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

class MapConnection {
  readonly #connection: Connection;
  readonly #onClosed: () => void;
  readonly #decoder = new NetstringDecoder(MAX_REPLY_BYTES);
  #isOpen = true;
  #onReply: ((reply: SocketmapReply) => void) | undefined;
  #hasBytes = false;
  #idleTimer: Timer | undefined;

  constructor(socket: Socket, onClosed: () => void) {
    this.#onClosed = onClosed;
    this.#connection = new Connection(socket, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => undefined,
      onEnd: () => this.#fail("the server closed the connection"),
      onClosed: (reason) => this.#fail(reason ?? "the connection was closed"),
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws what the signal was aborted with, and nothing else */
  ask(request: Buffer, signal: AbortSignal): Promise<SocketmapReply> {
    this.#idleTimer?.cancel();
    this.#hasBytes = false;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#onReply = undefined;
        this.close();
        reject(signal.reason as Error);
      };
      this.#onReply = (reply) => {
        signal.removeEventListener("abort", onAbort);
        resolve(reply);
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#connection.writeBytes(request);
      this.#connection.flush();
    });
  }

  closeAfter(delayMs: number, clock: Clock): void {
    this.#idleTimer = clock.after(delayMs, () => this.close());
  }

  close(): void {
    this.#isOpen = false;
    this.#idleTimer?.cancel();
    this.#connection.destroy();
    this.#onClosed();
  }

  /** What comes unasked, or after the reply, would be taken for the reply to the next request. */
  #onData(chunk: Buffer): void {
    if (this.#onReply === undefined) return this.close();
    this.#hasBytes = true;
    this.#decoder.push(chunk);
    const event = this.#decoder.next();
    if (event === undefined) return;
    if (event.kind === "malformed" || this.#decoder.hasInput) this.close();
    this.#reply(event);
  }

  #fail(reason: string): void {
    if (this.#isOpen) this.close();
    this.#reply({ kind: "closed", reason, wasUnanswered: !this.#hasBytes });
  }

  #reply(reply: SocketmapReply): void {
    const onReply = this.#onReply;
    this.#onReply = undefined;
    onReply?.(reply);
  }
}
