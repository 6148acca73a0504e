import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Endpoint } from "../core/endpoint.ts";
import { createSmallReadSocket } from "./small-reads.ts";

/** Begins a connection; `connect`, `error` and `close` tell how it went. */
export function dial(endpoint: Endpoint): Socket {
  return connect(optionsOf(endpoint));
}

/** As `dial`, for a peer that sends little at a time and is read by a `Connection`. */
export function dialForSmallReads(endpoint: Endpoint): Socket {
  const options = optionsOf(endpoint);
  // What `connect` takes of them leaves out those for the open connection.
  return createSmallReadSocket(options).connect(options);
}

function optionsOf(endpoint: Endpoint): NetConnectOpts {
  return endpoint.kind === "unix"
    ? { path: endpoint.path }
    : { host: endpoint.host, port: endpoint.port, noDelay: true, keepAlive: true };
}

/** The peer as Postfix writes it in `relay=`: `host[ip]:port`, or `host[/path]` for a unix socket. */
export function describePeer(endpoint: Endpoint, socket: Socket, hostname: string): string {
  if (endpoint.kind === "unix") return `${hostname}[${endpoint.path}]`;
  return `${endpoint.host}[${socket.remoteAddress ?? endpoint.host}]:${endpoint.port}`;
}
