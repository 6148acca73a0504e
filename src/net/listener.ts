import { lookup } from "node:dns/promises";
import { createServer, isIP } from "node:net";
import type { ListenOptions as NodeListenOptions, Server, Socket } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Endpoint } from "../core/endpoint.ts";
import { AccessUnchanged, CannotListen, messageOf, systemCode } from "./cannot-listen.ts";
import { readSmall } from "./small-reads.ts";
import { applyAccess, checkPlace, placeSocket, removeQuietly, resolveAccess, whoseIs } from "./socket-file.ts";
import type { SocketAccess } from "./socket-file.ts";

/** Connections the kernel keeps until we accept them; net.core.somaxconn caps it, 4096 on Linux. */
export const BACKLOG = 1024;

/**
 * A client over TCP that said nothing for so long is asked by the kernel whether it is still there, in ms. One whose
 * machine is gone would count as connected for ever: table clients may be idle as long as they like.
 */
const KEEP_ALIVE_AFTER_MS = 60_000;

export interface ListenOptions extends SocketAccess {
  readonly address: Endpoint;
  /** Clients send little at a time: see `readSmall`. */
  readonly hasSmallReads?: boolean;
}

export interface ListenerEvents {
  /** A new connection; nothing has been read from it. Half-open is allowed: who takes it ends it. */
  accept(socket: Socket): void;
  /** Connections could not be accepted, as when the process has no file descriptors left. */
  acceptFailed(error: Error): void;
}

export interface Listener {
  /** With the port the system chose where 0 was asked for. */
  readonly address: Endpoint;
  /** Nobody can connect any more: the file of a unix socket was removed. */
  isGone(): boolean;
  /** Looks whether those named exist. @throws CannotListen */
  checkAccess(access: SocketAccess): Promise<void>;
  /** Gives a unix socket other rights. @throws AccessUnchanged when they cannot be given */
  changeAccess(access: SocketAccess): Promise<void>;
  /** Stops accepting, in this turn, and removes a unix socket if it is still ours. Open connections stay. */
  close(): void;
}

/** @throws CannotListen, and nothing else */
export async function listen(options: ListenOptions, given: ListenerEvents): Promise<Listener> {
  const events: ListenerEvents = {
    accept: (socket) => given.accept(options.hasSmallReads ? readSmall(socket) : socket),
    acceptFailed: (error) => given.acceptFailed(error),
  };
  return options.address.kind === "unix"
    ? listenUnix(options.address.path, options, events)
    : listenTcp(options.address, events);
}

async function listenUnix(path: string, access: SocketAccess, events: ListenerEvents): Promise<Listener> {
  let resolved = await resolveAccess(path, access);
  await checkPlace(path);
  const server = newServer(events);
  const identity = await placeSocket(path, resolved, (boundPath) => bind(server, events, { path: boundPath })).catch(
    (error: unknown) => {
      server.close();
      throw error;
    },
  );
  const address: Endpoint = { kind: "unix", path };
  const wasRoot = process.geteuid?.() === 0;
  return {
    address,
    isGone: () => whoseIs(path, identity) === "gone",
    checkAccess: async (changed) => void (await resolveAccess(path, changed)),
    async changeAccess(changed) {
      const next = await resolveAccess(path, changed).catch((error: unknown) => {
        throw new AccessUnchanged(
          address,
          `: ${error instanceof CannotListen ? error.reason : messageOf(error)}`,
          error,
        );
      });
      if (whoseIs(path, identity) === "another's")
        throw new AccessUnchanged(address, ": the socket was replaced by another process");
      // Whoever gave up root can do none of this, and mostly there is nothing to do.
      if (isDeepStrictEqual(next, resolved)) return;
      try {
        applyAccess(path, identity, next);
        resolved = next;
      } catch (error) {
        const reason = wasRoot && process.geteuid?.() !== 0 ? "we are not root any more" : messageOf(error);
        throw new AccessUnchanged(address, ` until a restart: ${reason}`, error);
      }
    },
    close() {
      if (whoseIs(path, identity) === "ours") removeQuietly(path);
      server.close();
    },
  };
}

/** A name may have several addresses: all that this machine has are served, on the same port. */
async function listenTcp(address: Extract<Endpoint, { kind: "tcp" }>, events: ListenerEvents): Promise<Listener> {
  const servers: Server[] = [];
  let { port } = address;
  let failure: unknown;
  for (const host of await addressesOf(address)) {
    const server = newServer(events);
    try {
      await bind(server, events, { host, port });
      servers.push(server);
      port = portOf(server, port);
    } catch (error) {
      failure = error;
      if (!isMissingHere(error)) break;
    }
  }
  const close = (): void => {
    for (const server of servers) server.close();
  };
  if (servers.length === 0 || (failure !== undefined && !isMissingHere(failure))) {
    close();
    throw new CannotListen(address, tcpReason(failure, port), failure);
  }
  const nothing = (): Promise<void> => Promise.resolve();
  return { address: { ...address, port }, isGone: () => false, checkAccess: nothing, changeAccess: nothing, close };
}

async function addressesOf(address: Extract<Endpoint, { kind: "tcp" }>): Promise<readonly string[]> {
  if (isIP(address.host) !== 0) return [address.host];
  try {
    const found = await lookup(address.host, { all: true });
    return [...new Set(found.map((each) => each.address))];
  } catch (error) {
    throw new CannotListen(address, `the name "${address.host}" has no address (${systemCode(error)})`, error);
  }
}

/** An address of a name that belongs to another machine, or to a protocol this one does not speak. */
function isMissingHere(error: unknown): boolean {
  return ["EADDRNOTAVAIL", "EAFNOSUPPORT"].includes(systemCode(error));
}

function tcpReason(error: unknown, port: number): string {
  switch (systemCode(error)) {
    case "EADDRINUSE":
      return `another process listens there already (which one: ss -ltnp "sport = :${port}")`;
    case "EACCES":
      return "only root may listen on this port: start as root with process.user set, or give the process CAP_NET_BIND_SERVICE";
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
      return "this machine has no such address";
    default:
      return messageOf(error);
  }
}

function newServer(events: ListenerEvents): Server {
  const options = {
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
  };
  return createServer(options, (socket) => events.accept(socket));
}

function bind(server: Server, events: ListenerEvents, where: NodeListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off("error", reject);
      server.on("error", (error) => events.acceptFailed(error));
      resolve();
    });
  });
}

function portOf(server: Server, otherwise: number): number {
  const bound = server.address();
  return bound === null || typeof bound === "string" ? otherwise : bound.port;
}
