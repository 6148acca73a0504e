import { TextLineDecoder } from "../../wire/text-line-decoder.ts";
import { decodePercent } from "./percent.ts";

/** Longest request line, in bytes, its end included. Postfix has no limit of its own; a key may be three times as long encoded. */
export const MAX_REQUEST_BYTES = 100_000;

export type TcpTableRequest =
  | { readonly kind: "get"; readonly key: string }
  /** Named in tcp_table(5), never sent by Postfix: answer `NOT_SUPPORTED`. */
  | { readonly kind: "put" }
  /** Answer what came before it, then close. */
  | { readonly kind: "malformed"; readonly reason: string };

/** Turns what a tcp_table client sends into requests. After `malformed` nothing more comes. Source: tcp_table(5). */
export class RequestDecoder {
  readonly #lines = new TextLineDecoder(MAX_REQUEST_BYTES);
  #isBroken = false;

  /** Whether bytes wait that were not given out yet. */
  get hasInput(): boolean {
    return !this.#isBroken && this.#lines.hasInput;
  }

  push(chunk: Buffer): void {
    if (!this.#isBroken) this.#lines.push(chunk);
  }

  next(): TcpTableRequest | undefined {
    if (this.#isBroken) return undefined;
    const line = this.#lines.next();
    if (line === undefined) return undefined;
    const request =
      line.kind === "line" ? parseRequest(line.text) : malformed(`line exceeds ${MAX_REQUEST_BYTES} bytes`);
    if (request.kind === "malformed") this.#isBroken = true;
    return request;
  }
}

function parseRequest(line: string): TcpTableRequest {
  // People who try it by hand send CR LF; within a key a CR comes as %0D.
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  if (text.startsWith("put ")) return { kind: "put" };
  if (!text.startsWith("get ")) return malformed("neither get nor put");
  const key = decodePercent(text.slice(4));
  return key === undefined ? malformed("a % without two hexadecimal digits") : { kind: "get", key };
}

function malformed(reason: string): TcpTableRequest {
  return { kind: "malformed", reason };
}
