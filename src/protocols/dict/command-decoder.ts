import { TextLineDecoder } from "../../wire/text-line-decoder.ts";
import { parseCommand, parseHello, type DictCommand, type Hello } from "./command.ts";

/** Longest line of a client, in bytes, its end included. Dovecot's own server reads 64 KiB; METADATA values and Sieve scripts are larger. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** Turns what a dict client sends into commands, in the dialect of its handshake. After `malformed` nothing more comes. */
export class CommandDecoder {
  readonly #lines = new TextLineDecoder(MAX_LINE_BYTES);
  #hello: Hello | undefined;
  #isBroken = false;

  /** Whether bytes wait that were not given out yet. */
  get hasInput(): boolean {
    return !this.#isBroken && this.#lines.hasInput;
  }

  push(chunk: Buffer): void {
    if (!this.#isBroken) this.#lines.push(chunk);
  }

  next(): DictCommand | undefined {
    if (this.#isBroken) return undefined;
    const line = this.#lines.next();
    if (line === undefined) return undefined;
    const command = this.#read(line.kind === "line" ? line.text : undefined);
    if (command.kind === "hello") this.#hello = command;
    if (command.kind === "malformed") this.#isBroken = true;
    return command;
  }

  #read(line: string | undefined): DictCommand {
    if (line === undefined) return { kind: "malformed", reason: `line exceeds ${MAX_LINE_BYTES} bytes` };
    return this.#hello === undefined ? parseHello(line) : parseCommand(line, this.#hello);
  }
}
