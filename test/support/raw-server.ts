import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface RawServer {
  readonly port: number;
  /** How many connections came, from the first on. */
  readonly accepted: number;
  /** Breaks every connection off and takes no new ones. */
  stop(): Promise<void>;
  /** Listens again where it did. */
  start(): Promise<void>;
}

/**
 * A server of bytes, for what a real one would not send.
 * @param serve called with each connection and its number, from 1 on
 */
export async function startRawServer(
  t: { after(clean: () => Promise<void>): void },
  serve: (socket: Socket, number: number) => void,
  socketPath?: string,
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  let port = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    accepted += 1;
    serve(socket, accepted);
  });
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  };
  const start = async (): Promise<void> => {
    server.listen(socketPath === undefined ? { host: "127.0.0.1", port } : { path: socketPath });
    await once(server, "listening");
    if (socketPath === undefined) ({ port } = server.address() as AddressInfo);
  };
  await start();
  t.after(stop);
  return {
    port,
    get accepted() {
      return accepted;
    },
    stop,
    start,
  };
}
