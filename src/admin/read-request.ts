import { Readable } from "node:stream";
import { Problem } from "./problem.ts";

/** Longest JSON body, in bytes. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** @throws Problem where a parameter comes twice or is not UTF-8: nobody may guess what was meant */
export function readQuery(url: string): Readonly<Record<string, string>> {
  const at = url.indexOf("?");
  const found = new Map<string, string>();
  const pairs = at === -1 ? [] : url.slice(at + 1).split("&");
  for (const pair of pairs) {
    if (pair === "") continue;
    const [name = "", ...value] = pair.split("=");
    const key = decode(name);
    if (found.has(key)) throw new Problem(422, "Invalid request", `query /${key}: comes twice`);
    found.set(key, decode(value.join("=")));
  }
  return Object.fromEntries(found);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new Problem(400, "Bad query", `${text.slice(0, 80)} is not percent-encoded UTF-8`);
  }
}

/** The body as text, read no further than its bound. @throws Problem */
export async function readBody(request: Request): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  // An empty body is none, for JSON just as well.
  const body: AsyncIterable<Uint8Array> = request.body ?? Readable.from([]);
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) throw new Problem(413, "Too large", `a body has ${MAX_BODY_BYTES} bytes at most`);
    pieces.push(piece);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new Problem(400, "Not UTF-8", "the body is not UTF-8");
  }
}
