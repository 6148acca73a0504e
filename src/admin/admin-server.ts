import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Clock, Timer } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { DirectoryFailed } from "../directory/directory-failed.ts";
import { ConnectionServer } from "../servers/connection-server.ts";
import type { ServedConnection } from "../servers/connection-server.ts";
import type { AdminListener } from "../servers/options.ts";
import { createApp } from "./app.ts";
import type { AdminServices } from "./services.ts";

export interface AdminServerParts {
  readonly listener: AdminListener;
  readonly services: AdminServices;
  readonly log: Log;
}

/**
 * How long a client may take for the head of its next request, and be silent within a body that we are ready to read,
 * in ms. Answers may take longer: drains are waited for.
 */
export const PATIENCE_MS = 30_000;

/** Serves the admin API to the clients of one listener. */
export function createAdminServer({ listener, services, log }: AdminServerParts): ConnectionServer {
  const stopping = new AbortController();
  const app = createApp(services, {
    bearerToken: listener.token,
    stopping: stopping.signal,
    onBug: (error) =>
      log.write({
        kind: "message",
        level: "error",
        part: "admin",
        text: describeError(error),
      }),
  });
  const respond = getRequestListener(app.fetch);
  const connections = new WeakMap<Socket, AdminConnection>();
  // Its own limits in time count from `listen`, which is not called.
  const http = createServer((request, response) => {
    connections.get(request.socket)?.onRequest(request, response);
    void respond(request, response);
  });
  return new ConnectionServer({
    limits: listener,
    refusal: "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    part: "admin",
    log,
    connect(socket, _address, onClosed) {
      const connection = new AdminConnection(socket, { http, clock: services.clock, stopping, onClosed });
      connections.set(socket, connection);
      http.emit("connection", socket);
      return connection;
    },
  });
}

function describeError(error: unknown): string {
  if (error instanceof DirectoryFailed) return `an answer broke off: ${error.message}`;
  return `a bug: ${error instanceof Error ? error.stack : String(error)}`;
}

interface ConnectionParts {
  readonly http: Server;
  readonly clock: Clock;
  readonly stopping: AbortController;
  readonly onClosed: () => void;
}

/** Sees to it that a client who says nothing keeps no connection, and that one who waits for an answer does. */
class AdminConnection implements ServedConnection {
  readonly #socket: Socket;
  readonly #parts: ConnectionParts;
  /** The newest request that is not answered, and whatever came before it. */
  #underWay = new Set<IncomingMessage>();
  #timer: Timer | undefined;
  #seenBytes = 0;

  constructor(socket: Socket, parts: ConnectionParts) {
    this.#socket = socket;
    this.#parts = parts;
    socket.once("close", () => {
      this.#timer?.cancel();
      parts.onClosed();
    });
    this.#watch();
  }

  onRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#underWay.add(request);
    if (this.#parts.stopping.signal.aborted) response.shouldKeepAlive = false;
    response.once("close", () => {
      this.#underWay.delete(request);
      if (this.#underWay.size > 0) return;
      if (this.#parts.stopping.signal.aborted) this.#socket.destroySoon();
      else this.#watch();
    });
    this.#watch();
  }

  /** Whoever waits for a drain is told that we stop; who is idle goes. */
  stop(): void {
    this.#parts.stopping.abort();
    if (this.#underWay.size === 0) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #watch(): void {
    this.#timer?.cancel();
    this.#seenBytes = this.#socket.bytesRead;
    this.#timer = this.#parts.clock.after(PATIENCE_MS, () => {
      if (this.#isSilent()) this.#socket.destroy();
      else this.#watch();
    });
  }

  /** Between requests that is over at the first of them, however slowly it comes. */
  #isSilent(): boolean {
    if (this.#underWay.size === 0) return true;
    const reading = [...this.#underWay].find((request) => !request.complete);
    return reading?.readableLength === 0 && this.#socket.bytesRead === this.#seenBytes;
  }
}
