import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** Stands between a client and a server on 127.0.0.1, and lets so many bytes of the server's through. */
export interface CuttingProxy {
  readonly port: number;
  /** Bytes that came from the server on the last connection. */
  readonly lastBytes: number;
  /** For connections from now on: after so many bytes it closes, or is silent. */
  cut(how: "closed" | "silent", afterBytes: number): void;
  close(): Promise<void>;
}

export async function startCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let rule: { readonly how: "closed" | "silent"; readonly afterBytes: number } = {
    how: "closed",
    afterBytes: Number.POSITIVE_INFINITY,
  };
  let lastBytes = 0;
  const proxy = createServer({ noDelay: true }, (client) => {
    const { how, afterBytes } = rule;
    const server = connect({ port: serverPort, host: "127.0.0.1", noDelay: true });
    let seen = 0;
    lastBytes = 0;
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes: Buffer) => {
      const passed = bytes.subarray(0, Math.max(0, afterBytes - seen));
      seen += bytes.length;
      lastBytes = seen;
      if (passed.length > 0) client.write(passed);
      if (seen < afterBytes || how === "silent") return;
      // What has passed goes out first.
      client.end(end);
    });
    if (afterBytes === 0 && how === "closed") end();
  });
  proxy.listen({ host: "127.0.0.1", port: 0 });
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    get lastBytes() {
      return lastBytes;
    },
    cut(how, afterBytes) {
      rule = { how, afterBytes };
    },
    async close() {
      const closed = once(proxy, "close");
      proxy.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
