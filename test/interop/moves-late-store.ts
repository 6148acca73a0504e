import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { until } from "../support/until.ts";

/**
 * Stands before a store's LMTP on 127.0.0.1. Of a late user's message it takes everything, final dot and all, and gives
 * the store nothing before `catchUp`: a store that is slow after the dot. It goes on with what it has when its client
 * has left, as stores do.
 */
export interface LateStore {
  readonly port: number;
  /** From now on, for connections to come. */
  beLateFor(user: string): void;
  /** Until a message with its dot lies here. */
  waitForDot(): Promise<void>;
  /** Leaves the clients of all that lies here without an answer. */
  breakOff(): void;
  /** All that lies here goes on, and nobody's mail is late any more. */
  catchUp(): void;
  close(): Promise<void>;
}

interface Late {
  readonly client: Socket;
  readonly server: Socket;
  readonly waiting: Buffer[];
  /** The envelope so far: all that came since the last final dot. */
  envelope: string;
}

const FINAL_DOT = "\r\n.\r\n";

export async function startLateStore(storePort: number): Promise<LateStore> {
  const sockets = new Set<Socket>();
  const lateUsers = new Set<string>();
  const lying = new Set<Late>();
  const textOf = ({ waiting }: Late): string => Buffer.concat(waiting).toString("latin1");
  const proxy = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: storePort, host: "127.0.0.1", noDelay: true });
    const late: Late = { client, server, waiting: [], envelope: "" };
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("close", () => {
      if (!lying.has(late)) server.end();
    });
    server.on("close", () => client.destroy());
    server.on("data", (bytes) => client.write(bytes));
    client.on("data", (bytes: Buffer) => {
      if (lying.has(late)) return void late.waiting.push(bytes);
      server.write(bytes);
      late.envelope += bytes.toString("latin1");
      if (late.envelope.endsWith(FINAL_DOT)) late.envelope = "";
      const user = /^RCPT TO:<(.*?)>[^]*^DATA\r\n$/m.exec(late.envelope)?.[1];
      if (user !== undefined && lateUsers.has(user)) lying.add(late);
    });
  });
  proxy.listen({ host: "127.0.0.1", port: 0 });
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    beLateFor: (user) => void lateUsers.add(user),
    async waitForDot() {
      await until("a message with its final dot", () =>
        [...lying].some((late) => textOf(late).endsWith(FINAL_DOT)) ? true : undefined,
      );
    },
    breakOff: () => [...lying].forEach(({ client }) => client.destroy()),
    catchUp() {
      lateUsers.clear();
      for (const late of lying) {
        const { client, server, waiting } = late;
        server.write(Buffer.concat(waiting.splice(0)));
        late.envelope = "";
        // Not together with the dot: Dovecot gives up a message whose connection has ended by then.
        if (client.destroyed) server.once("data", () => server.end());
      }
      lying.clear();
    },
    async close() {
      const closed = once(proxy, "close");
      proxy.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
