import { connect, type Socket } from "node:net";

import { breakOff } from "./break-off.ts";

/** A client that sends whatever bytes a test wants and reads whole replies. */
export interface LmtpClient {
  readonly socket: Socket;
  /** Sends bytes as they are; text as UTF-8. `chunkBytes`: so many a write, one write per turn of the event loop. */
  send(bytes: string | Buffer, options?: { readonly chunkBytes?: number }): Promise<void>;
  /** The next reply, all its lines, divided by "\n" and without the last line end. Rejects at the end of the connection. */
  reply(): Promise<string>;
  /** As many replies as there are patterns, each compared: a text by its beginning. Returns them. */
  expect(...patterns: readonly (string | RegExp)[]): Promise<string[]>;
  /** Sends one line and returns its reply. */
  command(line: string): Promise<string>;
  /** Reads the greeting, sends LHLO, returns the keywords' lines. */
  lhlo(name?: string): Promise<string[]>;
  transaction(envelope: Envelope): Promise<TransactionReplies>;
  /** Proves by NOOP that no reply is pending: throws if one comes first. */
  expectInStep(): Promise<void>;
  /** Bytes that have come and are not read. */
  unread(): string;
  /** Reads no more from the socket until `resumeReading`. */
  pauseReading(): void;
  resumeReading(): void;
  /** Ends our side (FIN). */
  end(): void;
  /** Breaks the connection (RST on TCP). */
  reset(): void;
  /** Resolves when the server has ended the connection or it broke. */
  closed(): Promise<void>;
  [Symbol.dispose](): void;
}

export interface Envelope {
  /** Without angle brackets; default s@x.example. */
  readonly sender?: string;
  readonly mailParameters?: string;
  /** Without angle brackets, parameters after a blank behind the address: `{ to: "a@b", parameters: "NOTIFY=NEVER" }`. */
  readonly recipients: readonly (string | { readonly to: string; readonly parameters: string })[];
  /** The content, not stuffed; it is stuffed and ended here. */
  readonly content?: string | Buffer;
  /** The content with everything up to the final dot, sent as it is. */
  readonly rawContent?: string | Buffer;
  /** MAIL, RCPT and DATA in one write, as Postfix does. Default true. */
  readonly pipelined?: boolean;
  readonly chunkBytes?: number;
}

export interface TransactionReplies {
  readonly mail: string;
  readonly rcpt: readonly string[];
  readonly data: string;
  /** One per accepted recipient, where DATA was answered 354. */
  readonly final: readonly string[];
}

/** Longest wait for a reply in ms: only a failing test waits so long. */
const PATIENCE_MS = 10_000;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Dot-stuffs a content with CR LF line ends and adds the final dot, and the last line end where it lacks. */
export function stuffed(content: string | Buffer): Buffer {
  const text = Buffer.from(content as string).toString("latin1");
  const whole = text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`;
  return Buffer.from(`${whole.replaceAll(/(^|\r\n)\./g, "$1..")}.\r\n`, "latin1");
}

export async function connectLmtp(
  endpoint:
    | { readonly kind: "unix"; readonly path: string }
    | { readonly kind: "tcp"; readonly host: string; readonly port: number },
  options: { readonly patienceMs?: number } = {},
): Promise<LmtpClient> {
  const patienceMs = options.patienceMs ?? PATIENCE_MS;
  const socket = endpoint.kind === "unix" ? connect(endpoint.path) : connect(endpoint.port, endpoint.host);
  socket.setNoDelay(true);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });

  let pending = "";
  let over = false;
  let wake: () => void = () => {};
  const { promise: closedPromise, resolve: resolveClosed } = Promise.withResolvers<void>();
  const end = (): void => {
    over = true;
    resolveClosed();
    wake();
  };
  socket.on("data", (chunk: Buffer) => {
    pending += chunk.toString("latin1");
    wake();
  });
  socket.on("error", end);
  socket.once("end", end);
  socket.once("close", end);

  const guarded = async (promise: Promise<void>, what: string): Promise<void> => {
    const { promise: late, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`${what} within ${patienceMs} ms; unread: ${JSON.stringify(pending)}`)),
      patienceMs,
    );
    try {
      await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  };

  const line = async (): Promise<string> => {
    for (;;) {
      const at = pending.indexOf("\n");
      if (at >= 0) {
        const taken = pending.slice(0, at + 1);
        pending = pending.slice(at + 1);
        if (!taken.endsWith("\r\n")) throw new Error(`reply line without CR LF: ${JSON.stringify(taken)}`);
        return Buffer.from(taken.slice(0, -2), "latin1").toString("utf8");
      }
      if (over) throw new Error(`connection ended, no reply; unread: ${JSON.stringify(pending)}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await guarded(promise, "no reply");
    }
  };

  const client: LmtpClient = {
    socket,
    async send(bytes, { chunkBytes } = {}) {
      const all = Buffer.from(bytes as string);
      const step = chunkBytes ?? Math.max(all.length, 1);
      for (let at = 0; at < all.length; at += step) {
        if (over || socket.destroyed) return;
        const roomy = socket.write(all.subarray(at, at + step));
        if (!roomy) {
          const drained = new Promise<void>((resolve) => socket.once("drain", resolve));
          await Promise.race([drained, closedPromise]);
        } else if (step < all.length) await nextTurn();
      }
    },
    async reply() {
      const lines: string[] = [];
      for (;;) {
        const text = await line();
        if (!/^[2-5][0-5]\d(?:[ -]|$)/.test(text)) throw new Error(`not a reply line: ${JSON.stringify(text)}`);
        if (lines.length > 0 && lines[0]?.slice(0, 3) !== text.slice(0, 3))
          throw new Error(`codes differ within a reply: ${JSON.stringify([...lines, text])}`);
        lines.push(text);
        if (text[3] !== "-") return lines.join("\n");
      }
    },
    async expect(...patterns) {
      const replies: string[] = [];
      for (const pattern of patterns) {
        const reply = await client.reply();
        replies.push(reply);
        const fits = typeof pattern === "string" ? reply.startsWith(pattern) : pattern.test(reply);
        if (!fits)
          throw new Error(
            `reply ${replies.length} of ${patterns.length}: expected ${String(pattern)}, got ${JSON.stringify(reply)}; before it ${JSON.stringify(replies.slice(0, -1))}`,
          );
      }
      return replies;
    },
    async command(text) {
      await client.send(`${text}\r\n`);
      return client.reply();
    },
    async lhlo(name = "mx.example") {
      await client.expect("220 ");
      const reply = await client.command(`LHLO ${name}`);
      if (!reply.startsWith("250")) throw new Error(`LHLO refused: ${reply}`);
      return reply
        .split("\n")
        .slice(1)
        .map((text) => text.slice(4));
    },
    async transaction(envelope) {
      const { sender = "s@x.example", mailParameters = "", recipients, pipelined = true, chunkBytes } = envelope;
      const cut = chunkBytes === undefined ? {} : { chunkBytes };
      const commands = [
        `MAIL FROM:<${sender}>${mailParameters === "" ? "" : ` ${mailParameters}`}`,
        ...recipients.map((entry) =>
          typeof entry === "string" ? `RCPT TO:<${entry}>` : `RCPT TO:<${entry.to}> ${entry.parameters}`,
        ),
        "DATA",
      ];
      const replies: string[] = [];
      if (pipelined) await client.send(commands.map((text) => `${text}\r\n`).join(""), cut);
      for (const command of commands) {
        if (!pipelined) await client.send(`${command}\r\n`, cut);
        replies.push(await client.reply());
      }
      const [mail = ""] = replies;
      const rcpt = replies.slice(1, -1);
      const data = replies.at(-1) ?? "";
      const final: string[] = [];
      if (data.startsWith("354")) {
        await client.send(envelope.rawContent ?? stuffed(envelope.content ?? "Subject: test\r\n\r\nHello.\r\n"), cut);
        for (const reply of rcpt) if (reply.startsWith("2")) final.push(await client.reply());
      }
      return { mail, rcpt, data, final };
    },
    async expectInStep() {
      await client.send("NOOP\r\n");
      const reply = await client.reply();
      if (!reply.startsWith("250")) throw new Error(`out of step: NOOP answered ${JSON.stringify(reply)}`);
      if (pending !== "") throw new Error(`out of step: after NOOP's reply comes ${JSON.stringify(pending)}`);
    },
    unread: () => pending,
    pauseReading: () => void socket.pause(),
    resumeReading: () => void socket.resume(),
    end: () => void socket.end(),
    reset: () => breakOff(socket),
    closed: () => guarded(closedPromise, "connection not closed"),
    [Symbol.dispose]: () => void socket.destroy(),
  };
  return client;
}
