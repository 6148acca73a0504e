import { connect } from "node:net";

/** Just enough IMAP to set up and read a Cyrus: one command at a time, literals in answers only. */
export interface ImapClient {
  /** Sends one command, text as UTF-8, and returns its untagged answers. @throws unless the server says OK */
  command(text: string | Buffer): Promise<ImapAnswer[]>;
  close(): void;
}

/** One untagged answer: its text with every literal replaced by `{}`, and the literals. */
export interface ImapAnswer {
  readonly text: string;
  readonly literals: readonly Buffer[];
}

export async function connectImap(port: number): Promise<ImapClient> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  const chunks: AsyncIterator<unknown> = socket[Symbol.asyncIterator]();
  let pieces: Buffer[] = [];
  let pieceBytes = 0;

  const readMore = async (): Promise<void> => {
    const next = await chunks.next();
    const value: unknown = next.value;
    if (!Buffer.isBuffer(value)) throw new Error("the IMAP server closed the connection");
    pieces.push(value);
    pieceBytes += value.length;
  };
  const take = (count: number): Buffer => {
    const all = Buffer.concat(pieces);
    pieces = [all.subarray(count)];
    pieceBytes -= count;
    return all.subarray(0, count);
  };
  const readBytes = async (count: number): Promise<Buffer> => {
    while (pieceBytes < count) await readMore();
    return take(count);
  };
  const readLine = async (): Promise<string> => {
    for (;;) {
      const all = Buffer.concat(pieces);
      pieces = [all];
      const end = all.indexOf("\r\n");
      if (end >= 0) return take(end + 2).toString("latin1", 0, end);
      await readMore();
    }
  };
  const readAnswer = async (): Promise<ImapAnswer> => {
    const literals: Buffer[] = [];
    let text = "";
    for (;;) {
      const line = await readLine();
      const literal = /\{(\d+)\}$/.exec(line);
      if (literal === null) return { text: text + line, literals };
      text += `${line.slice(0, literal.index)}{}`;
      literals.push(await readBytes(Number(literal[1])));
    }
  };

  await readAnswer();
  let commands = 0;
  return {
    async command(text) {
      commands += 1;
      const tag = `c${commands}`;
      socket.write(Buffer.concat([Buffer.from(`${tag} `), Buffer.from(text as string), Buffer.from("\r\n")]));
      const untagged: ImapAnswer[] = [];
      for (;;) {
        const answer = await readAnswer();
        if (!answer.text.startsWith(`${tag} `)) {
          untagged.push(answer);
          continue;
        }
        if (!answer.text.startsWith(`${tag} OK`)) throw new Error(`IMAP: ${text.toString()}: ${answer.text}`);
        return untagged;
      }
    },
    close: () => void socket.destroy(),
  };
}
