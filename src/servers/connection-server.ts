import type { Socket } from "node:net";
import { formatEndpoint } from "../core/endpoint.ts";
import type { Log, LogMessage } from "../core/log.ts";
import { ownQuotas } from "../core/quota.ts";
import type { Quota, Quotas } from "../core/quota.ts";
import type { ListenerOptions } from "./options.ts";
import { Roster } from "./roster.ts";

/** One client of a server. */
export interface ServedConnection {
  /** Finishes what is under way, then closes. */
  stop(): void;
  /** Ends at once. */
  destroy(): void;
}

export interface ConnectionServerParts {
  readonly limits: Pick<ListenerOptions, "address" | "maxConnections" | "maxConnectionsPerAddress">;
  /** `maxConnections` holds for all processes of the daemon together, `maxConnectionsPerAddress` for each. Default: there is one. */
  readonly quotas?: Quotas | undefined;
  /** What a client is told for whom there is no room; empty for protocols that know no such word. */
  readonly refusal: string;
  readonly part: LogMessage["part"];
  readonly log: Log;
  /** @param address undefined on a unix socket */
  readonly connect: (socket: Socket, address: string | undefined, onClosed: () => void) => ServedConnection;
}

/** Names the clients of a listener for all processes that serve it. */
export const quotaKey = ({ address, maxConnections }: ConnectionServerParts["limits"]): string =>
  `listener ${formatEndpoint(address)} ${maxConnections}`;

/** The clients of one listener, and how many they may be. */
export class ConnectionServer {
  readonly #parts: ConnectionServerParts;
  readonly #connections = new Roster<ServedConnection>();
  readonly #perAddress = new Map<string, number>();
  readonly #quota: Quota;
  /** Until it is known whether another process can leave its place to them. */
  readonly #waiting: Socket[] = [];
  #isRefusing = false;
  readonly #onEmpty: (() => void)[] = [];

  constructor(parts: ConnectionServerParts) {
    this.#parts = parts;
    const { quotas = ownQuotas } = parts;
    this.#quota = quotas.of(quotaKey(parts.limits), parts.limits.maxConnections, {
      used: () => this.#connections.size,
      isWaiting: () => this.#waiting.length > 0,
      onGrown: () => this.#onGrown(),
      onDenied: () => this.#onDenied(),
      onOwing: () => undefined,
      isPatient: false,
    });
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Serves a client. The socket must allow half-open: a client may say no more and still wait for replies. */
  accept(socket: Socket): void {
    const { limits, connect } = this.#parts;
    const address = addressOf(socket);
    const fromAddress = address === undefined ? 0 : (this.#perAddress.get(address) ?? 0);
    if (fromAddress >= limits.maxConnectionsPerAddress) return this.#refuse(socket);
    if (this.#connections.size >= this.#quota.limit) return this.#wait(socket);
    if (address !== undefined) this.#perAddress.set(address, fromAddress + 1);
    const connection = connect(socket, address, () => this.#onClosed(leave, address));
    const leave = this.#connections.add(connection);
  }

  /** Lets what is under way finish; resolves when no client is left. */
  async shutdown(): Promise<void> {
    this.#onDenied();
    for (const connection of this.#connections.all) connection.stop();
    await this.emptied();
  }

  /** Resolves when no client is left. */
  async emptied(): Promise<void> {
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Ends all clients at once. */
  destroy(): void {
    for (const connection of this.#connections.all) connection.destroy();
  }

  #wait(socket: Socket): void {
    if (this.#connections.size + this.#waiting.length >= this.#parts.limits.maxConnections) return this.#refuse(socket);
    socket.on("error", () => undefined);
    this.#waiting.push(socket);
    this.#quota.want();
  }

  #onGrown(): void {
    while (this.#waiting.length > 0 && this.#connections.size < this.#quota.limit) this.#acceptWaiting();
    if (this.#waiting.length > 0) this.#quota.want();
  }

  #acceptWaiting(): void {
    const socket = this.#waiting.shift();
    // Who went away meanwhile, or has been told to.
    if (socket !== undefined && !socket.destroyed) this.accept(socket);
  }

  #onDenied(): void {
    for (const socket of this.#waiting.splice(0)) this.#refuse(socket);
  }

  #refuse(socket: Socket): void {
    this.#noteRefused(addressOf(socket));
    socket.on("error", () => undefined);
    socket.end(this.#parts.refusal, () => socket.destroy());
  }

  /** One line for each time of overload. */
  #noteRefused(address: string | undefined): void {
    if (this.#isRefusing) return;
    this.#isRefusing = true;
    const from = address === undefined ? "" : ` from ${address}`;
    const text = `too many connections: refusing one${from}, ${this.#connections.size} are open`;
    this.#parts.log.write({ kind: "message", level: "warning", part: this.#parts.part, text });
  }

  #onClosed(leave: () => void, address: string | undefined): void {
    leave();
    this.#quota.settle();
    this.#isRefusing = false;
    if (address !== undefined) {
      const left = (this.#perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
    }
    if (this.#connections.size === 0) for (const onEmpty of this.#onEmpty.splice(0)) onEmpty();
  }
}

const addressOf = (socket: Socket): string | undefined => socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
