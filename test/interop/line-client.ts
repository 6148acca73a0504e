import { connect } from "node:net";
import { createInterface } from "node:readline";

/** A client of any protocol of lines, as somebody at a terminal is one. */
export interface LineClient {
  /** Sends a line and reads on to one that matches, which is returned, or to the end of the connection: `(closed)`. */
  say(line: string, answer: RegExp): Promise<string>;
  close(): void;
}

const PATIENCE_MS = 30_000;

/** Connects and reads the greeting. */
export async function connectLines(port: number): Promise<LineClient> {
  const socket = connect(port, "127.0.0.1").setTimeout(PATIENCE_MS, () => socket.destroy(new Error("no answer")));
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const read = async (answer: RegExp): Promise<string> => {
    for (;;) {
      const next = await lines.next();
      if (next.done === true) return "(closed)";
      if (answer.test(next.value)) return next.value;
    }
  };
  await read(/^/);
  return {
    say(line, answer) {
      socket.write(`${line}\r\n`);
      return read(answer);
    },
    close: () => void socket.destroy(),
  };
}
