import { randomInt } from "node:crypto";
import { BlockList, isIPv6, type Socket } from "node:net";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { encodeReply, reply } from "../protocols/lmtp/reply.ts";
import { LmtpConnection } from "./lmtp-connection.ts";
import type { ListenerOptions } from "./options.ts";
import type { LmtpService } from "./service.ts";

export interface LmtpServerParts {
  readonly listener: ListenerOptions;
  readonly service: LmtpService;
  readonly clock: Clock;
  readonly log: Log;
}

const TOO_MANY_CONNECTIONS = encodeReply(reply(421, "4.3.2", "Too many connections, try again later"));

/** Begins the ids of all sessions of this process, so that those of two processes differ. */
const SESSION_PREFIX = randomInt(36 ** 4, 36 ** 5)
  .toString(36)
  .toUpperCase();
let sessionCount = 0;

function nextSession(): string {
  sessionCount += 1;
  return SESSION_PREFIX + sessionCount.toString(36).toUpperCase().padStart(4, "0");
}

/** The clients of one listener. */
export class LmtpServer {
  readonly #parts: LmtpServerParts;
  readonly #connections = new Set<LmtpConnection>();
  readonly #perAddress = new Map<string, number>();
  readonly #trusted: BlockList;
  #isRefusing = false;
  #onEmpty: (() => void) | undefined;

  constructor(parts: LmtpServerParts) {
    this.#parts = parts;
    this.#trusted = toBlockList(parts.listener.trustedNetworks);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Serves a client. The socket must allow half-open: a client may say no more and still wait for replies. */
  accept(socket: Socket): void {
    const { maxConnections, maxConnectionsPerAddress } = this.#parts.listener;
    // Clients of a unix socket have no address and are trusted: its mode decides who they are.
    const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
    const fromAddress = address === undefined ? 0 : (this.#perAddress.get(address) ?? 0);
    if (this.#connections.size >= maxConnections || fromAddress >= maxConnectionsPerAddress) {
      this.#noteRefused(address);
      socket.on("error", () => undefined);
      socket.end(TOO_MANY_CONNECTIONS, () => socket.destroy());
      return;
    }
    if (address !== undefined) this.#perAddress.set(address, fromAddress + 1);
    const connection = new LmtpConnection(socket, {
      ...this.#parts,
      session: nextSession(),
      isTrusted: address === undefined || this.#trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4"),
      onClosed: () => this.#onClosed(connection, address),
    });
    this.#connections.add(connection);
  }

  /** Closes clients that do nothing with 421, lets messages under way finish; resolves when no client is left. */
  async shutdown(): Promise<void> {
    for (const connection of this.#connections) connection.stop();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => (this.#onEmpty = resolve));
  }

  /** Ends all at once with 421: what has no final dot is not delivered. */
  destroy(): void {
    for (const connection of this.#connections) connection.destroy();
  }

  /** One line for each time of overload. */
  #noteRefused(address: string | undefined): void {
    if (this.#isRefusing) return;
    this.#isRefusing = true;
    const from = address === undefined ? "" : ` from ${address}`;
    const text = `too many connections: refusing one${from}, ${this.#connections.size} are open`;
    this.#parts.log.write({ kind: "message", level: "warning", part: "lmtp", text });
  }

  #onClosed(connection: LmtpConnection, address: string | undefined): void {
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

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    list.addSubnet(address, Number(prefix ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return list;
}
