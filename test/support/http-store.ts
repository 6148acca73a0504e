import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer } from "node:https";
import { decodeText } from "../../src/wire/text.ts";
import { SERVER_CERTIFICATE, SERVER_KEY } from "./certificates.ts";

export interface HttpStoreOptions {
  /** In place of a port. */
  readonly socketPath?: string;
  readonly isTls?: boolean;
  /** Answers each GET with the names that begin with its key, of which a prefix was asked. */
  readonly isLister?: boolean;
  /** Answers in place of the store, unless it returns false. */
  readonly onRequest?: (request: SeenRequest, response: ServerResponse) => boolean | void;
}

export interface SeenRequest {
  readonly method: string;
  /** Path and query as they came. */
  readonly url: string;
  readonly key: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpStore {
  /** For the table, with its placeholder. */
  readonly url: string;
  /** Scheme, host and port. */
  readonly origin: string;
  readonly requests: readonly SeenRequest[];
  /** JSON texts by key. */
  readonly values: Map<string, string>;
  connections(): Promise<number>;
  /** Resets every connection and takes no new ones. */
  stop(): Promise<void>;
  /** Listens again where it did. */
  start(): Promise<void>;
}

const FOLDER = "/map/";

/** An HTTP service that keeps a JSON text for each key: GET, POST and DELETE of `/map/KEY`. */
export async function startHttpStore(
  t: { after(clean: () => Promise<void>): void },
  entries: ReadonlyMap<string, string> = new Map(),
  options: HttpStoreOptions = {},
): Promise<HttpStore> {
  const values = new Map([...entries].map(([key, value]) => [key, JSON.stringify(value)]));
  const requests: SeenRequest[] = [];
  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks = (await Array.fromAsync(message)) as Buffer[];
    const { method = "", url = "", headers } = message;
    const key = decodeKey(url.slice(FOLDER.length));
    const request: SeenRequest = { method, url, key, headers, body: Buffer.concat(chunks).toString() };
    requests.push(request);
    const isAnswered = options.onRequest !== undefined && options.onRequest(request, response) !== false;
    if (!isAnswered) serve(request, response);
  };

  function serve({ method, url, key, body }: SeenRequest, response: ServerResponse): void {
    if (!url.startsWith(FOLDER)) return void response.writeHead(400).end();
    if (method === "POST") {
      values.set(key, body);
      return void response.writeHead(201).end();
    }
    if (method === "DELETE") return void response.writeHead(values.delete(key) ? 204 : 404).end();
    const text = options.isLister ? JSON.stringify(namesBelow(values, key)) : values.get(key);
    if (text === undefined) return void response.writeHead(404, { "content-type": "text/html" }).end("no such key");
    response.writeHead(200, { "content-type": "application/json" }).end(text);
  }

  const tls = { cert: SERVER_CERTIFICATE, key: SERVER_KEY };
  const listener = (message: IncomingMessage, response: ServerResponse): void =>
    void answer(message, response).catch(() => response.destroy());
  let port = 0;
  let server: Server | undefined;

  const store: Pick<HttpStore, "start" | "stop" | "connections"> = {
    async start() {
      const started = options.isTls ? createTlsServer(tls, listener) : createServer(listener);
      server = started;
      started.listen(options.socketPath === undefined ? { host: "127.0.0.1", port } : { path: options.socketPath });
      await once(started, "listening");
      if (options.socketPath === undefined) ({ port } = started.address() as AddressInfo);
    },
    async stop() {
      const stopped = server;
      server = undefined;
      if (stopped === undefined) return;
      stopped.close();
      stopped.closeAllConnections();
      await once(stopped, "close");
    },
    connections: () =>
      new Promise((resolve) => {
        if (server === undefined) return resolve(0);
        server.getConnections((_error, count) => resolve(count));
      }),
  };
  await store.start();
  t.after(() => store.stop());
  const origin =
    options.socketPath === undefined
      ? `${options.isTls ? "https" : "http"}://127.0.0.1:${port}`
      : `http+unix://${encodeURIComponent(options.socketPath)}`;
  return { ...store, url: `${origin}${FOLDER}{}`, origin, requests, values };
}

function namesBelow(values: ReadonlyMap<string, string>, prefix: string): string[] {
  return [...values.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
}

/** Bytes that are no UTF-8 as our tables have them. */
export function decodeKey(escaped: string): string {
  const bytes = escaped.replaceAll(/%([0-9A-Fa-f]{2})/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return decodeText(Buffer.from(bytes, "latin1"));
}
