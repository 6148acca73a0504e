import { connect, type Socket } from "node:net";
import type { Endpoint } from "../core/endpoint.ts";

/** Begins a connection; `connect`, `error` and `close` tell how it went. */
export function dial(endpoint: Endpoint): Socket {
  return endpoint.kind === "unix"
    ? connect({ path: endpoint.path })
    : connect({ host: endpoint.host, port: endpoint.port, noDelay: true, keepAlive: true });
}

/** The peer as Postfix writes it in `relay=`: `host[ip]:port`, or `host[/path]` for a unix socket. */
export function describePeer(endpoint: Endpoint, socket: Socket, hostname: string): string {
  if (endpoint.kind === "unix") return `${hostname}[${endpoint.path}]`;
  return `${endpoint.host}[${socket.remoteAddress ?? endpoint.host}]:${endpoint.port}`;
}
