import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { awaitListening, findPort, start } from "../processes.ts";

/** Takes everything at once: smtp-sink of Postfix. @returns its port */
export async function startSink(): Promise<number> {
  const port = await findPort();
  const user = process.geteuid?.() === 0 ? ["-u", "nobody"] : [];
  const program = start("smtp-sink", ["-L", ...user, `127.0.0.1:${port}`, "1000"]);
  await awaitListening(program, port);
  return port;
}

/** A store that takes every message, a while after its final dot. */
export interface SlowStore {
  readonly port: number;
  /** When it last answered a final dot, on the monotonic clock in ms. */
  answeredMs(): number;
  close(): void;
}

/** For messages of our own sender: MAIL, RCPT and DATA come before the message, and nothing is sent after its dot. */
export async function startSlowStore(answerAfterMs: () => number): Promise<SlowStore> {
  const sockets = new Set<Socket>();
  let answeredMs = 0;
  const takeMessage = async (): Promise<void> => {
    await sleep(answerAfterMs());
    answeredMs = performance.now();
  };
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    void serve(socket, takeMessage).catch(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    answeredMs: () => answeredMs,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function serve(socket: Socket, takeMessage: () => Promise<void>): Promise<void> {
  let pending = "";
  let inMessage = false;
  socket.write("220 bench.example LMTP\r\n");
  for await (const chunk of socket) {
    pending += (chunk as Buffer).toString("latin1");
    for (;;) {
      const mark = inMessage ? "\r\n.\r\n" : "\r\n";
      const end = pending.indexOf(mark);
      if (end === -1) break;
      const line = pending.slice(0, end);
      pending = pending.slice(end + mark.length);
      if (inMessage) await takeMessage();
      socket.write(inMessage ? "250 2.0.0 OK\r\n" : answerTo(line));
      inMessage = !inMessage && line.toUpperCase() === "DATA";
    }
  }
}

function answerTo(line: string): string {
  switch (line.slice(0, 4).toUpperCase()) {
    case "LHLO":
      return "250-bench.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
    case "DATA":
      return "354 go on\r\n";
    default:
      return "250 2.0.0 OK\r\n";
  }
}
