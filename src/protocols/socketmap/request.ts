import { encodeNetstring, NetstringDecoder } from "../../wire/netstring.ts";
import { decodeText } from "../../wire/text.ts";

/** Longest request, in bytes, framing excluded. Postfix 3.12 sends keys up to 10000 bytes, older ones any. */
export const MAX_REQUEST_BYTES = 100_000;

export type SocketmapRequest =
  | { readonly kind: "query"; readonly map: string; readonly key: string }
  /** Answer what came before it, then close. */
  | { readonly kind: "malformed"; readonly reason: string };

/** Turns what a socketmap client sends into requests. After `malformed` nothing more comes. */
export class RequestDecoder {
  readonly #netstrings = new NetstringDecoder(MAX_REQUEST_BYTES);
  #isBroken = false;

  /** Whether bytes wait that were not given out yet. */
  get hasInput(): boolean {
    return !this.#isBroken && this.#netstrings.hasInput;
  }

  push(chunk: Buffer): void {
    if (!this.#isBroken) this.#netstrings.push(chunk);
  }

  next(): SocketmapRequest | undefined {
    if (this.#isBroken) return undefined;
    const event = this.#netstrings.next();
    if (event === undefined) return undefined;
    const request = event.kind === "malformed" ? event : decodeRequest(event.bytes);
    if (request.kind === "malformed") this.#isBroken = true;
    return request;
  }
}

/** The map's name ends at the first space: keys may hold spaces, names cannot. */
export function decodeRequest(payload: Buffer): SocketmapRequest {
  const text = decodeText(payload);
  const space = text.indexOf(" ");
  if (space === -1) return { kind: "malformed", reason: "no space after the map's name" };
  return { kind: "query", map: text.slice(0, space), key: text.slice(space + 1) };
}

/** @param map must hold no space, or the other side reads another name */
export function encodeRequest(map: string, key: string): Buffer {
  return encodeNetstring(`${map} ${key}`);
}
