import type { Socket } from "node:net";
import type { Endpoint } from "../core/endpoint.ts";
import { formatEndpoint } from "../core/endpoint.ts";
import { EXIT } from "../core/exit-codes.ts";
import { dial } from "../net/dialer.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";
import { ReplyDecoder } from "../protocols/lmtp/reply-decoder.ts";
import { CommandFault } from "./command-io.ts";

/** A connection to an LMTP server, one question after the other. */
export interface LmtpDialog {
  /** Text has one character a byte. */
  send(bytes: string | Buffer): void;
  /** @throws CommandFault when none comes in time or the connection ends */
  reply(waitingFor: string): Promise<Reply>;
  close(): void;
}

/** @throws CommandFault, saying where nothing listens and why */
export async function openDialog(endpoint: Endpoint, timeoutMs: number): Promise<LmtpDialog> {
  const where = formatEndpoint(endpoint);
  const socket = dial(endpoint);
  const decoder = new ReplyDecoder();
  let failure: CommandFault | undefined;
  let wake: () => void = () => {};
  const fail = (text: string): void => {
    failure ??= new CommandFault(EXIT.tempFail, text);
    wake();
  };
  socket.on("data", (chunk: Buffer) => {
    decoder.push(chunk);
    wake();
  });
  socket.on("error", (error) => fail(`${where}: ${error.message}`));
  socket.on("end", () => fail(`${where} closed the connection`));
  socket.on("close", () => fail(`${where}: connection closed`));
  await connected(socket, endpoint, timeoutMs);

  return {
    send(bytes) {
      if (!socket.writable) return;
      if (typeof bytes === "string") socket.write(bytes, "latin1");
      else socket.write(bytes);
    },
    async reply(waitingFor) {
      const timer = setTimeout(
        () => fail(`${where} gave no answer to ${waitingFor} within ${timeoutMs / 1000} s`),
        timeoutMs,
      );
      try {
        for (;;) {
          const event = decoder.next();
          if (event?.kind === "reply") return event.reply;
          if (event?.kind === "malformed") throw new CommandFault(EXIT.tempFail, `${where}: ${event.reason}`);
          if (failure !== undefined) throw failure;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => void socket.destroy(),
  };
}

function connected(socket: Socket, endpoint: Endpoint, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const where = formatEndpoint(endpoint);
    const timer = setTimeout(
      () => socket.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })),
      timeoutMs,
    );
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(new CommandFault(EXIT.tempFail, whyNot(where, endpoint, error)));
    });
  });
}

/** Several addresses of one host fail as an AggregateError whose message is empty. */
function whyNot(where: string, endpoint: Endpoint, error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.message;
  switch (code) {
    case "ECONNREFUSED":
      return `nothing listens on ${where} (${code})`;
    case "ENOENT":
      return `there is no socket at ${where} (${code}): is the server running?`;
    case "EACCES":
      return `user id ${process.geteuid?.() ?? "?"} has no right to connect to ${where} (${code})`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `${endpoint.kind === "tcp" ? `the host ${endpoint.host}` : where} has no address (${code})`;
    case "ETIMEDOUT":
      return `${where} does not answer (${code})`;
    default:
      return `cannot connect to ${where} (${code})`;
  }
}
