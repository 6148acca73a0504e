import { LineDecoder } from "../../wire/line-decoder.ts";

/** Longest head of a request, in bytes, the CRs left out. A client's certificate may be in it, percent-encoded. */
export const MAX_HEAD_BYTES = 65_536;

/** Most header lines in a request; nginx sends 25 at most, beside those of `auth_http_header`. */
export const MAX_HEADERS = 100;

export type RequestHead =
  /** By name in lower case, one character a byte. */
  | { readonly kind: "head"; readonly headers: ReadonlyMap<string, string> }
  | { readonly kind: "malformed"; readonly status: MalformedStatus; readonly reason: string };

export type MalformedStatus = "400 Bad Request" | "405 Method Not Allowed" | "431 Request Header Fields Too Large";

/** As much of HTTP as nginx's mail proxy speaks, which is one GET without a body for each connection. Source: RFC 9112. */
export class RequestDecoder {
  readonly #lines = new LineDecoder(MAX_HEAD_BYTES);
  readonly #headers = new Map<string, string>();
  #headBytes = 0;
  #hasRequestLine = false;
  #isOver = false;

  /** @returns the head, once it is complete; what follows is ignored */
  feed(chunk: Buffer): RequestHead | undefined {
    if (this.#isOver) return undefined;
    this.#lines.push(chunk);
    for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
      const head = line.kind === "too-long" ? TOO_LARGE : this.#count(line.text);
      if (head === undefined) continue;
      this.#isOver = true;
      return head;
    }
    return undefined;
  }

  #count(line: string): RequestHead | undefined {
    this.#headBytes += line.length + 1;
    return this.#headBytes > MAX_HEAD_BYTES ? TOO_LARGE : this.#take(line);
  }

  #take(line: string): RequestHead | undefined {
    if (!this.#hasRequestLine) {
      this.#hasRequestLine = true;
      return checkRequestLine(line);
    }
    if (line === "") return { kind: "head", headers: this.#headers };
    // One that begins with a blank continues the line before: RFC 9112 5.2 lets us refuse that.
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):(.*)$/s.exec(line);
    const value = match?.[2]?.replace(/^[ \t]+|[ \t]+$/g, "") ?? "";
    // Other control characters may come from nginx's client. Source: RFC 9110 5.5.
    if (match === null || value.includes("\0") || value.includes("\r")) return malformed("a header line that is none");
    const name = (match[1] ?? "").toLowerCase();
    if (this.#headers.has(name)) return malformed(`two headers ${name}`);
    if (this.#headers.size === MAX_HEADERS) return TOO_LARGE;
    this.#headers.set(name, value);
    return undefined;
  }
}

function checkRequestLine(line: string): RequestHead | undefined {
  const [, method] = /^([A-Z]+) [\x21-\x7e]+ HTTP\/1\.[01]$/.exec(line) ?? [];
  if (method === undefined) return malformed("no request of HTTP/1.0 or HTTP/1.1");
  return method === "GET" ? undefined : malformed(`the method is ${method}, not GET`, "405 Method Not Allowed");
}

const malformed = (reason: string, status: MalformedStatus = "400 Bad Request"): RequestHead => ({
  kind: "malformed",
  status,
  reason,
});

const TOO_LARGE = malformed(
  `a head of more than ${MAX_HEAD_BYTES} bytes or ${MAX_HEADERS} lines`,
  "431 Request Header Fields Too Large",
);
