import { LineDecoder } from "../../wire/line-decoder.ts";
import { parseCommand, type Command } from "./command.ts";
import { reply } from "./reply.ts";

const LINE_TOO_LONG: Command = { kind: "answered", reply: reply(500, "5.5.2", "Line too long") };

/** Turns what a client sends into commands, and, where a command says so, gives the bytes that follow it as they are. */
export class CommandDecoder {
  readonly #lines: LineDecoder;

  /** @param maxLineBytes longest command line, its end included */
  constructor(maxLineBytes: number) {
    this.#lines = new LineDecoder(maxLineBytes);
  }

  get hasInput(): boolean {
    return this.#lines.hasInput;
  }

  push(chunk: Buffer): void {
    this.#lines.push(chunk);
  }

  next(): Command | undefined {
    const line = this.#lines.next();
    if (line === undefined) return undefined;
    return line.kind === "too-long" ? LINE_TOO_LONG : parseCommand(line.text);
  }

  /** The next bytes after the last command: of a message. */
  take(): Buffer | undefined {
    return this.#lines.take();
  }

  /** Puts back what follows the message. */
  unread(bytes: Buffer): void {
    this.#lines.unread(bytes);
  }
}
