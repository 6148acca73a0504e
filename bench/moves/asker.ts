import { once } from "node:events";
import { connect } from "node:net";
import { createReplyReader } from "./sender.ts";

/** Asks a tcp-table, one question after the other. */
export interface Asker {
  /** @returns the whole answer, such as `200 old` */
  ask(user: string): Promise<string>;
  close(): void;
}

export async function connectAsker(port: number): Promise<Asker> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const reply = createReplyReader(socket);
  return {
    ask(user) {
      socket.write(`get ${user}@bench.example\n`);
      return reply();
    },
    close: () => socket.destroy(),
  };
}
