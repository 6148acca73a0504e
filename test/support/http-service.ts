import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the service was asked. */
export interface ServiceRequest {
  readonly method: string;
  /** As it came, percent-encoded. */
  readonly target: string;
  /** Without the query, decoded: what `values` has it under. */
  readonly path: string;
  readonly body: string;
}

/** How it answers, whatever it is asked. */
export type Behaviour =
  | { readonly kind: "well" }
  | { readonly kind: "status"; readonly status: number }
  /** It takes requests and says nothing. */
  | { readonly kind: "silent" };

/**
 * A small web service as administrators write them: JSON by GET, written by POST, removed by DELETE, 404 for what there
 * is not. A path that ends in a slash is the list of what lies directly or deeper below it.
 */
export interface HttpService {
  /** `http://127.0.0.1:port`, the same after a restart. */
  readonly url: string;
  /** Values as JSON has them, by path. */
  readonly values: Map<string, unknown>;
  /** In place of `values`: a status for each request of a path. */
  readonly statuses: Map<string, number>;
  /** Everything that it was asked, oldest first. */
  readonly requests: readonly ServiceRequest[];
  behave(behaviour: Behaviour): void;
  /** Connections are refused from now on; those that are open break. */
  goDown(): Promise<void>;
  comeBack(): Promise<void>;
  /** For good. */
  stop(): Promise<void>;
}

export async function startHttpService(values: Readonly<Record<string, unknown>> = {}): Promise<HttpService> {
  const content = new Map(Object.entries(values));
  const statuses = new Map<string, number>();
  const requests: ServiceRequest[] = [];
  let behaviour: Behaviour = { kind: "well" };
  /** Those that nobody will answer. */
  const unanswered = new Set<ServerResponse>();

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url: target = "" } = request;
    const path = decodeURIComponent(target.split("?")[0] ?? "");
    const asked = { method, target, path, body: await readBody(request) };
    requests.push(asked);
    switch (behaviour.kind) {
      case "well":
        return answer(asked, response);
      case "status":
        response.writeHead(behaviour.status).end("<p>Something went wrong.</p>");
        return;
      case "silent":
        unanswered.add(response);
    }
  }

  function answer({ method, path, body }: ServiceRequest, response: ServerResponse): void {
    const status = statuses.get(path);
    if (status !== undefined) return void response.writeHead(status).end();
    const reply = (value: unknown): void =>
      void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    switch (method) {
      case "GET":
        if (content.has(path)) return reply(content.get(path));
        if (path.endsWith("/")) return reply(namesBelow(path));
        return void response.writeHead(404).end();
      case "POST":
        content.set(path, JSON.parse(body));
        return reply(null);
      case "DELETE":
        return void response.writeHead(content.delete(path) ? 200 : 404).end();
      default:
        return void response.writeHead(405).end();
    }
  }

  const namesBelow = (path: string): string[] =>
    [...content.keys()].filter((key) => key.startsWith(path)).map((key) => key.slice(path.length));

  const server = createServer((request, response) => {
    // Who breaks off is no fault of the service.
    serve(request, response).catch(() => response.destroy());
  });
  let port = 0;
  const comeBack = async (): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  };
  const goDown = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  await comeBack();
  return {
    url: `http://127.0.0.1:${port}`,
    values: content,
    statuses,
    requests,
    behave(next) {
      behaviour = next;
      for (const response of unanswered) response.destroy();
      unanswered.clear();
    },
    goDown,
    comeBack,
    stop: goDown,
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
