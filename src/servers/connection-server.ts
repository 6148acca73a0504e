import type { Socket } from "node:net";
import type { Log, LogMessage } from "../core/log.ts";
import type { ListenerOptions } from "./options.ts";

/** One client of a server. */
export interface ServedConnection {
  /** Finishes what is under way, then closes. */
  stop(): void;
  /** Ends at once. */
  destroy(): void;
}

export interface ConnectionServerParts {
  readonly limits: Pick<ListenerOptions, "maxConnections" | "maxConnectionsPerAddress">;
  /** What a client is told for whom there is no room; empty for protocols that know no such word. */
  readonly refusal: string;
  readonly part: LogMessage["part"];
  readonly log: Log;
  /** @param address undefined on a unix socket */
  readonly connect: (socket: Socket, address: string | undefined, onClosed: () => void) => ServedConnection;
}

/** The clients of one listener, and how many they may be. */
export class ConnectionServer {
  readonly #parts: ConnectionServerParts;
  readonly #connections = new Set<ServedConnection>();
  readonly #perAddress = new Map<string, number>();
  #isRefusing = false;
  #onEmpty: (() => void) | undefined;

  constructor(parts: ConnectionServerParts) {
    this.#parts = parts;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Serves a client. The socket must allow half-open: a client may say no more and still wait for replies. */
  accept(socket: Socket): void {
    const { limits, refusal, connect } = this.#parts;
    const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
    const fromAddress = address === undefined ? 0 : (this.#perAddress.get(address) ?? 0);
    if (this.#connections.size >= limits.maxConnections || fromAddress >= limits.maxConnectionsPerAddress) {
      this.#noteRefused(address);
      socket.on("error", () => undefined);
      socket.end(refusal, () => socket.destroy());
      return;
    }
    if (address !== undefined) this.#perAddress.set(address, fromAddress + 1);
    const connection = connect(socket, address, () => this.#onClosed(connection, address));
    this.#connections.add(connection);
  }

  /** Lets what is under way finish; resolves when no client is left. */
  async shutdown(): Promise<void> {
    for (const connection of this.#connections) connection.stop();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => (this.#onEmpty = resolve));
  }

  /** Ends all clients at once. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  /** One line for each time of overload. */
  #noteRefused(address: string | undefined): void {
    if (this.#isRefusing) return;
    this.#isRefusing = true;
    const from = address === undefined ? "" : ` from ${address}`;
    const text = `too many connections: refusing one${from}, ${this.#connections.size} are open`;
    this.#parts.log.write({ kind: "message", level: "warning", part: this.#parts.part, text });
  }

  #onClosed(connection: ServedConnection, address: string | undefined): void {
    this.#connections.delete(connection);
    this.#isRefusing = false;
    if (address !== undefined) {
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    }
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}
