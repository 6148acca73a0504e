import type { buildConnector, Dispatcher, Pool } from "undici";
import { exchange, HttpFailure, SOCKET_CLOSED } from "./url-exchange.ts";
import type { HttpReply, HttpRequest } from "./url-exchange.ts";
import type { UrlTemplate } from "./url-template.ts";

export interface HttpClientOptions {
  readonly service: Pick<UrlTemplate, "origin" | "socketPath">;
  /** Certificates of CAs in PEM; undefined for those that Node.js trusts. */
  readonly caCertificates: string | undefined;
  /** By lower-cased name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly maxConnections: number;
  /** Redirects that are answers themselves, and are not followed. */
  readonly keepsRedirect: (status: number) => boolean;
}

/** No connection within this time is a failure, in ms; the guard gives up earlier unless it was told otherwise. */
const CONNECT_TIMEOUT_MS = 10_000;

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Requests to one service over connections that stay open; the library is loaded when it is first asked. */
export class HttpClient {
  readonly #options: HttpClientOptions;
  /** As the service calls itself where it redirects to itself. */
  readonly #ownUrl: URL;
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    const { origin } = options.service;
    const host = options.headers["host"];
    this.#ownUrl = (host === undefined ? null : URL.parse(`${new URL(origin).protocol}//${host}`)) ?? new URL(origin);
  }

  /**
   * Follows redirects, and asks once more where a connection was closed without a word: it had been idle too long.
   * @throws HttpFailure, or whatever the signal was aborted with
   */
  async get(path: string, maxReplyBytes: number, signal: AbortSignal): Promise<HttpReply> {
    const opened = this.#opened ?? (await this.#open());
    const request: HttpRequest = { method: "GET", path, maxReplyBytes };
    const reply = await this.#getFrom(opened, request, signal);
    return reply.status === 200 ? reply : this.#follow(opened, request, reply, signal);
  }

  /**
   * Is sent once, whatever happens: nobody knows whether it was done.
   * @throws HttpFailure, or whatever the signal was aborted with
   */
  async change(request: HttpRequest, signal: AbortSignal): Promise<HttpReply> {
    const { pool } = this.#opened ?? (await this.#open());
    return exchange(pool, request, this.#options.headers, signal);
  }

  /** Whoever still waits for a connection that does not come has given up. */
  async close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.pool.destroy();
  }

  #open(): Promise<Opened> {
    this.#opening ??= open(this.#options).then((opened) => (this.#opened = opened));
    return this.#opening;
  }

  async #getFrom({ pool, dialAlone }: Opened, request: HttpRequest, signal: AbortSignal): Promise<HttpReply> {
    const { headers, service } = this.#options;
    try {
      return await exchange(pool, request, headers, signal);
    } catch (error) {
      if (!(error instanceof HttpFailure) || !error.wasUnanswered || signal.aborted) throw error;
      return alone(dialAlone(service.origin), request, headers, signal);
    }
  }

  async #follow(opened: Opened, request: HttpRequest, first: HttpReply, signal: AbortSignal): Promise<HttpReply> {
    let reply = first;
    let url = new URL(request.path, this.#ownUrl);
    for (let hops = 1; REDIRECTS.has(reply.status) && reply.location !== undefined; hops += 1) {
      if (this.#options.keepsRedirect(reply.status)) break;
      if (hops > MAX_REDIRECTS) throw new HttpFailure(`there are more than ${MAX_REDIRECTS} redirects`, "request");
      url = this.#nextUrl(reply.location, url);
      const next = { ...request, path: `${url.pathname}${url.search}` };
      // Headers may hold a token, which is for the service alone.
      reply =
        url.origin === this.#ownUrl.origin
          ? await this.#getFrom(opened, next, signal)
          : await alone(opened.dialAlone(url.origin), next, {}, signal);
    }
    return reply;
  }

  #nextUrl(location: string, from: URL): URL {
    const url = URL.parse(location, from.href);
    if (url === null) throw new HttpFailure("the redirect leads to no URL", "request");
    if (url.protocol !== this.#ownUrl.protocol)
      throw new HttpFailure(`the redirect leads to ${url.protocol}//${url.host}, where it is not followed`, "request");
    if (this.#options.service.socketPath !== undefined && url.origin !== this.#ownUrl.origin)
      throw new HttpFailure(`the redirect leads away from the unix socket, to ${url.origin}`, "request");
    return url;
  }
}

interface Opened {
  readonly pool: Pool;
  /** For one request, on a new connection. */
  readonly dialAlone: (origin: string) => Dispatcher;
}

async function open({ service, caCertificates, maxConnections }: HttpClientOptions): Promise<Opened> {
  const undici = await import("undici");
  const connect = watched(
    undici.buildConnector({
      allowH2: false,
      timeout: CONNECT_TIMEOUT_MS,
      ...(service.socketPath === undefined ? {} : { socketPath: service.socketPath }),
      ...(caCertificates === undefined ? {} : { ca: caCertificates }),
    }),
  );
  // The guard counts the time of the whole lookup.
  const options = { connect, allowH2: false, headersTimeout: 0, bodyTimeout: 0 };
  return {
    pool: new undici.Pool(service.origin, { ...options, connections: maxConnections }),
    dialAlone: (origin) => new undici.Client(origin, { ...options, pipelining: 0 }),
  };
}

async function alone(
  dispatcher: Dispatcher,
  request: HttpRequest,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<HttpReply> {
  try {
    return await exchange(dispatcher, request, headers, signal);
  } finally {
    void dispatcher.destroy();
  }
}

/**
 * Calls whatever the system says of a connection a closed socket, before undici sees it. Of `ECONNRESET` it would make
 * the good end of a reply that has no length, and with any but its own code a request fails that was not sent yet.
 */
function watched(connector: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connector(options, (...[error, socket]) => {
      if (error !== null) return callback(error, null);
      socket.on("error", (failure: NodeJS.ErrnoException) => {
        if (failure.syscall !== undefined) failure.code = SOCKET_CLOSED;
      });
      callback(null, socket);
    });
  };
}
