import { createServer } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Log } from "../core/log.ts";
import { ConnectionServer } from "../servers/connection-server.ts";
import type { AdminListener } from "../servers/options.ts";
import { createApp } from "./app.ts";
import type { AdminServices } from "./services.ts";

export interface AdminServerParts {
  readonly listener: AdminListener;
  readonly services: AdminServices;
  readonly log: Log;
}

/** Serves the admin API to the clients of one listener. */
export function createAdminServer({ listener, services, log }: AdminServerParts): ConnectionServer {
  const app = createApp(services, {
    bearerToken: listener.token,
    onBug: (error) =>
      log.write({
        kind: "message",
        level: "error",
        part: "admin",
        text: `a bug: ${error instanceof Error ? error.stack : String(error)}`,
      }),
  });
  const respond = getRequestListener(app.fetch);
  const http = createServer((request, response) => {
    void respond(request, response);
  });
  return new ConnectionServer({
    limits: listener,
    refusal: "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    part: "admin",
    log,
    connect(socket: Socket, _address, onClosed) {
      socket.once("close", onClosed);
      http.emit("connection", socket);
      return {
        // Whoever waits for a drain waits for its end; who is idle goes.
        stop: () => http.closeIdleConnections(),
        destroy: () => socket.destroy(),
      };
    },
  });
}
