import { lookup } from "node:dns/promises";
// By its name, BoundSocket would keep this file from being loaded by a Node that has none.
import net, { createServer, isIP } from "node:net";
import type { BoundSocketOptions, Server, Socket } from "node:net";
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
  /** Who says nothing for too long is ended by us: the kernel need not ask, which takes four system calls for each client. */
  readonly endsSilentClients?: boolean;
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
  /** Where other processes serve it: its descriptors, open until `close`. */
  readonly fds?: readonly number[];
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
export function listen(options: ListenOptions, given: ListenerEvents): Promise<Listener> {
  const events = eventsFor(options, given);
  return place(options, (where) =>
    startServer(events, (server, onListening) => server.listen({ ...where, backlog: BACKLOG }, onListening)),
  );
}

/** Whether this Node can bind for other processes: 24.21 and 26.10 can. */
export const canBind: boolean = "BoundSocket" in net && "fd" in net.BoundSocket.prototype;

/** Binds for other processes, which listen. @throws CannotListen, and nothing else */
export async function bind(options: ListenOptions): Promise<Listener> {
  const fds: number[] = [];
  const listener = await place(options, (where) => {
    // The types do not know paths yet.
    const socket = new net.BoundSocket(where as BoundSocketOptions);
    fds.push(socket.fd());
    const { port } = socket.address() as { readonly port?: number };
    let isOpen = true;
    const close = (): void => {
      if (isOpen) socket.close();
      isOpen = false;
    };
    return Promise.resolve({ port, close });
  });
  return { ...listener, fds };
}

/** Listens at what another process has bound. @throws CannotListen, and nothing else */
export async function listenAt(
  fds: readonly number[],
  options: ListenOptions,
  given: ListenerEvents,
): Promise<Listener> {
  const events = eventsFor(options, given);
  const { address } = options;
  const opened: Open[] = [];
  try {
    for (const fd of fds)
      opened.push(await startServer(events, (server, onListening) => server.listen({ fd }, BACKLOG, onListening)));
  } catch (error) {
    for (const each of opened) each.close();
    throw new CannotListen(address, address.kind === "tcp" ? tcpReason(error, address.port) : messageOf(error), error);
  }
  const nothing = (): Promise<void> => Promise.resolve();
  const close = (): void => {
    for (const each of opened) each.close();
  };
  return { address, isGone: () => false, checkAccess: nothing, changeAccess: nothing, close };
}

function eventsFor(options: ListenOptions, given: ListenerEvents): ListenerEvents {
  const { hasSmallReads = false, endsSilentClients = false } = options;
  return {
    accept(socket) {
      if (!endsSilentClients) socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
      given.accept(hasSmallReads ? readSmall(socket) : socket);
    },
    acceptFailed: (error) => given.acceptFailed(error),
  };
}

interface Open {
  /** Of a TCP socket. */
  readonly port: number | undefined;
  close(): void;
}

type Opener = (where: { readonly path: string } | { readonly host: string; readonly port: number }) => Promise<Open>;

function place(options: ListenOptions, open: Opener): Promise<Listener> {
  const { address } = options;
  return address.kind === "unix" ? placeUnix(address.path, options, open) : placeTcp(address, open);
}

async function placeUnix(path: string, access: SocketAccess, open: Opener): Promise<Listener> {
  let resolved = await resolveAccess(path, access);
  await checkPlace(path);
  let opened: Open | undefined;
  const identity = await placeSocket(path, resolved, async (boundPath) => {
    opened = await open({ path: boundPath });
  }).catch((error: unknown) => {
    opened?.close();
    throw error;
  });
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
      opened?.close();
    },
  };
}

/** A name may have several addresses: all that this machine has are served, on the same port. */
async function placeTcp(address: Extract<Endpoint, { kind: "tcp" }>, open: Opener): Promise<Listener> {
  const sockets: Open[] = [];
  let { port } = address;
  let failure: unknown;
  for (const host of await addressesOf(address)) {
    try {
      const opened = await open({ host, port });
      sockets.push(opened);
      port = opened.port ?? port;
    } catch (error) {
      failure = error;
      if (!isMissingHere(error)) break;
    }
  }
  const close = (): void => {
    for (const each of sockets) each.close();
  };
  if (sockets.length === 0 || (failure !== undefined && !isMissingHere(failure))) {
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
  };
  return createServer(options, (socket) => events.accept(socket));
}

function startServer(events: ListenerEvents, begin: (server: Server, onListening: () => void) => void): Promise<Open> {
  const server = newServer(events);
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      server.close();
      reject(error);
    });
    begin(server, () => {
      server.removeAllListeners("error");
      server.on("error", (error) => events.acceptFailed(error));
      const bound = server.address();
      resolve({
        port: bound === null || typeof bound === "string" ? undefined : bound.port,
        close: () => void server.close(),
      });
    });
  });
}
