import { Socket, type SocketConstructorOpts } from "node:net";

/** As much as libuv offers to a read, in bytes. */
const BUFFER_BYTES = 65_536;

/** A read of so many bytes is likely to be followed by others: to copy them all would cost more than a buffer for each. */
const LARGE_READ_BYTES = 16_384;

/** One for all: what a read brought is handed on before the next read begins. */
const shared = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/** What Node.js does not tell of a socket. Its own servers give `handle` to new sockets as we do. */
/* oxlint-disable no-underscore-dangle */
interface Insides {
  _handle: { readonly useUserBuffer?: unknown } | null;
  _server: unknown;
  server: unknown;
}

/** A socket for which small reads cost little. */
export class SmallReadSocket extends Socket {
  /** Gets what comes instead of the stream, whose `data` has only what came before this was set. */
  onChunk: ((chunk: Buffer) => void) | undefined;
}

/** For a peer that we dial; not connected yet. */
export function createSmallReadSocket(options: SocketConstructorOpts = {}): SmallReadSocket {
  /** Read into next. What has been read into one of its own is given away with it. */
  let buffer = shared;
  const onread = {
    buffer: () => buffer,
    /** @returns whether to read on */
    callback(length: number): boolean {
      const isLarge = length >= LARGE_READ_BYTES;
      const bytes = buffer.subarray(0, length);
      const chunk = isLarge && buffer !== shared ? bytes : Buffer.from(bytes);
      buffer = isLarge ? Buffer.allocUnsafeSlow(BUFFER_BYTES) : shared;
      if (socket.onChunk === undefined) return socket.push(chunk);
      socket.onChunk(chunk);
      return true;
    },
  };
  const socket = new SmallReadSocket({ ...options, onread });
  return socket;
}

/**
 * Takes over a socket of a server in the turn in which it was accepted, so that all of them read into one buffer and copy what came.
 * Otherwise each read allocates 64 KiB outside of the heap, cuts it to what came and leaves it to the garbage collector, which is a
 * quarter of all that a lookup costs. Node.js has `onread` for it, but not for the sockets of a server.
 * @returns the socket to use from now on: the given one where Node.js is not as we know it, which is only slower
 */
export function readSmall(accepted: Socket): Socket {
  const given = accepted as unknown as Insides;
  const handle = given._handle;
  if (typeof handle?.useUserBuffer !== "function") return accepted;
  const socket = createSmallReadSocket({ handle, allowHalfOpen: accepted.allowHalfOpen } as SocketConstructorOpts);
  const taken = socket as unknown as Insides;
  // The server counts its sockets when they close.
  taken.server = given.server;
  taken._server = given._server;
  given._handle = null;
  return socket;
}
