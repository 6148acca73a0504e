import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

export interface Envelope {
  readonly from: string;
  readonly to: readonly string[];
  /** Parameters of MAIL, such as `BODY=8BITMIME`. */
  readonly parameters?: string;
}

export interface SmtpClient {
  /** Sends one command, without its line end, and returns the reply, whatever it is. */
  command(line: string): Promise<string>;
  /** Hands over one message with CR LF line ends, and returns Postfix's queue id. */
  send(envelope: Envelope, content: Buffer): Promise<string>;
  close(): void;
}

/** Connects to an SMTP server and says EHLO. */
export async function connectSmtp(port: number): Promise<SmtpClient> {
  const socket = connect(port, "127.0.0.1");
  const replies = readReplies(socket);
  const readReply = async (): Promise<string> => {
    const reply = await replies.next();
    if (reply.done === true) throw new Error("the SMTP server closed the connection");
    return reply.value;
  };
  const expect = async (code: string): Promise<string> => {
    const reply = await readReply();
    if (!reply.startsWith(code)) throw new Error(`expected ${code}, got ${reply}`);
    return reply;
  };
  await expect("220");
  socket.write("EHLO client.example\r\n");
  await expect("250");
  return {
    command(line) {
      socket.write(`${line}\r\n`);
      return readReply();
    },
    async send({ from, to, parameters }, content) {
      const rcpts = to.map((address) => `RCPT TO:<${address}>\r\n`).join("");
      socket.write(`MAIL FROM:<${from}>${parameters === undefined ? "" : ` ${parameters}`}\r\n${rcpts}DATA\r\n`);
      await expect("250");
      for (const _ of to) await expect("250");
      await expect("354");
      socket.write(stuffDots(content));
      socket.write(content.length === 0 || content.subarray(-2).toString("latin1") === "\r\n" ? ".\r\n" : "\r\n.\r\n");
      const queued = /queued as (\w+)/.exec(await expect("250"));
      if (queued?.[1] === undefined) throw new Error("the reply to the message names no queue id");
      return queued[1];
    },
    close: () => void socket.destroy(),
  };
}

async function* readReplies(socket: Socket): AsyncGenerator<string> {
  let reply = "";
  for await (const line of createInterface({ input: socket })) {
    reply += `${line}\n`;
    if (line[3] === "-") continue;
    yield reply;
    reply = "";
  }
}

function stuffDots(content: Buffer): Buffer {
  const text = content.toString("latin1");
  return Buffer.from(text.replace(/^\./, "..").replaceAll("\r\n.", "\r\n.."), "latin1");
}
