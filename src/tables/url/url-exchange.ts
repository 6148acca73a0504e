import type { Dispatcher } from "undici";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: RequestBody;
  readonly maxReplyBytes: number;
}

export interface RequestBody {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export interface HttpReply {
  readonly status: number;
  /** Where a redirect leads. */
  readonly location: string | undefined;
  readonly body: Buffer;
}

/** There is no whole reply. */
export class HttpFailure extends Error {
  override readonly name = "HttpFailure";
  readonly code = "HTTP_FAILURE";
  /** `source`: it was not reached or broke off, so that any other request would have failed too. */
  readonly scope: "source" | "request";
  /** The connection was closed before anything of a reply came, as a server does with one that was idle. */
  readonly wasUnanswered: boolean;
  /** Nothing of the request has left: no connection came about. */
  readonly wasUnsent: boolean;

  constructor(
    reason: string,
    scope: HttpFailure["scope"],
    { wasUnanswered = false, wasUnsent = false }: { wasUnanswered?: boolean; wasUnsent?: boolean } = {},
  ) {
    super(reason);
    this.scope = scope;
    this.wasUnanswered = wasUnanswered;
    this.wasUnsent = wasUnsent;
  }
}

/**
 * One request and its reply, on a connection that the dispatcher chooses.
 * @throws HttpFailure, or whatever the signal was aborted with
 */
export function exchange(
  dispatcher: Dispatcher,
  request: HttpRequest,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(reasonOf(signal));
    const handler = new Exchange(request.maxReplyBytes, signal, resolve, reject);
    const { method, path, body } = request;
    if (body === undefined) dispatcher.dispatch({ method, path, headers }, handler);
    else {
      const typed = { ...headers, "content-type": body.mediaType };
      dispatcher.dispatch({ method, path, headers: typed, body: body.bytes }, handler);
    }
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #maxReplyBytes: number;
  readonly #signal: AbortSignal;
  readonly #resolve: (reply: HttpReply) => void;
  readonly #reject: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #hasReply = false;
  #status = 0;
  #location: string | undefined;
  readonly #chunks: Buffer[] = [];
  #bodyBytes = 0;

  constructor(
    maxReplyBytes: number,
    signal: AbortSignal,
    resolve: (reply: HttpReply) => void,
    reject: (error: Error) => void,
  ) {
    this.#maxReplyBytes = maxReplyBytes;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal.addEventListener("abort", this.#abort);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#signal.aborted) controller.abort(reasonOf(this.#signal));
  }

  onResponseStarted(): void {
    this.#hasReply = true;
  }

  /** Also called for 103 and the like, before the reply itself. */
  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    const { location } = headers;
    this.#status = status;
    this.#location = typeof location === "string" ? location : undefined;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes <= this.#maxReplyBytes) this.#chunks.push(chunk);
    else controller.abort(new HttpFailure(`the reply has more than ${this.#maxReplyBytes} bytes`, "request"));
  }

  onResponseEnd(): void {
    this.#signal.removeEventListener("abort", this.#abort);
    const [only = Buffer.alloc(0), ...others] = this.#chunks;
    const body = others.length === 0 ? only : Buffer.concat(this.#chunks);
    this.#resolve({ status: this.#status, location: this.#location, body });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#signal.removeEventListener("abort", this.#abort);
    if (this.#signal.aborted || error instanceof HttpFailure) return this.#reject(error);
    const wasUnanswered = !this.#hasReply && codeOf(error) === SOCKET_CLOSED;
    const wasUnsent = this.#controller === undefined;
    this.#reject(new HttpFailure(describeError(error), "source", { wasUnanswered, wasUnsent }));
  }

  /** What still waits for a connection learns it when it gets one. */
  readonly #abort = (): void => {
    const reason = reasonOf(this.#signal);
    this.#controller?.abort(reason);
    this.#reject(reason);
  };
}

/** undici's code for a connection that somebody closed, in whatever way. */
export const SOCKET_CLOSED = "UND_ERR_SOCKET";

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error("nobody waits for the answer any more");
}

const codeOf = (error: Error): string => ("code" in error && typeof error.code === "string" ? error.code : "");

/** What Node.js says of a certificate whose CA it does not know. */
const UNTRUSTED_CODES: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** A name with several addresses fails with one error for each, in one that says nothing itself. */
function describeError(error: Error): string {
  if (error instanceof AggregateError)
    return error.errors.map((each) => (each instanceof Error ? describeError(each) : String(each))).join(", ");
  const code = codeOf(error);
  const hint = UNTRUSTED_CODES.has(code) ? " (ca_file may name the certificate of its CA)" : "";
  return (error.message || code || error.name) + hint;
}
