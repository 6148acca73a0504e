import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Delivers one message after the other over one connection. */
export interface Sender {
  /** @param onSent called once the final dot is on its way @returns the reply to the dot, or to RCPT where that is no 2xx */
  send(user: string, onSent?: () => void): Promise<string>;
  close(): void;
}

const CONTENT = `Subject: bench\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(50)}.\r\n`;

export async function connectSender(port: number): Promise<Sender> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const reply = createReplyReader(socket);
  await reply();
  socket.write("LHLO bench.example\r\n");
  await reply();
  return {
    async send(user, onSent) {
      socket.write(`MAIL FROM:<sender@bench.example>\r\nRCPT TO:<${user}@bench.example>\r\nDATA\r\n`);
      await reply();
      const rcpt = await reply();
      const data = await reply();
      if (!data.startsWith("354")) return rcpt;
      socket.write(CONTENT);
      onSent?.();
      return reply();
    },
    close: () => socket.destroy(),
  };
}

/** @returns gives the last line of the next reply */
export function createReplyReader(socket: Socket): () => Promise<string> {
  const replies: string[] = [];
  let pending = "";
  let fault: Error | undefined;
  let wake: (() => void) | undefined;
  const end = (error: Error): void => {
    fault ??= error;
    wake?.();
  };
  socket.on("error", end);
  socket.on("close", () => end(new Error("the daemon has closed the connection")));
  socket.on("data", (chunk: Buffer) => {
    pending += chunk.toString("latin1");
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    // A hyphen: more lines follow.
    replies.push(...lines.map((line) => line.trimEnd()).filter((line) => line[3] !== "-"));
    wake?.();
  });
  return async () => {
    for (;;) {
      const reply = replies.shift();
      if (reply !== undefined) return reply;
      if (fault !== undefined) throw fault;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}
