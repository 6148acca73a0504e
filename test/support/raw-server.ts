import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface RawServer {
  readonly port: number;
  /** How many connections came, from the first on. */
  readonly accepted: number;
}

/**
 * A server of bytes, for what a real one would not send.
 * @param serve called with each connection and its number, from 1 on
 */
export async function startRawServer(
  t: { after(clean: () => void): void },
  serve: (socket: Socket, number: number) => void,
  socketPath?: string,
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    accepted += 1;
    serve(socket, accepted);
  });
  server.listen(socketPath === undefined ? { host: "127.0.0.1", port: 0 } : { path: socketPath });
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: socketPath === undefined ? (server.address() as AddressInfo).port : 0,
    get accepted() {
      return accepted;
    },
  };
}
