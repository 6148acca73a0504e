import { Client } from "undici";
import { formatEndpoint, parseEndpoint } from "../core/endpoint.ts";

/** Nobody answers there. */
export class AdminUnreachable extends Error {
  override readonly name = "AdminUnreachable";
  readonly code = "ADMIN_UNREACHABLE";
}

/** The daemon refused: a problem as RFC 9457 has it. */
export class AdminRefused extends Error {
  override readonly name = "AdminRefused";
  readonly code = "ADMIN_REFUSED";
  readonly status: number;
  readonly title: string;

  constructor(status: number, title: string, detail: string) {
    super(detail);
    this.status = status;
    this.title = title;
  }
}

export type AdminQuery = Readonly<Record<string, string | number | undefined>>;

export interface AdminRequest {
  readonly query?: AdminQuery;
  readonly body?: unknown;
  /** In place of `body`: text that is sent as it comes. */
  readonly text?: AsyncIterable<string | Buffer>;
}

/** A running daemon, asked over its admin API. Drains are waited for as long as they take. */
export interface AdminClient {
  readonly address: string;
  /** @throws AdminUnreachable, AdminRefused */
  ask<Result>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, request?: AdminRequest): Promise<Result>;
  /** @throws AdminUnreachable, AdminRefused */
  read(path: string, query?: AdminQuery): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/**
 * @param given an address as everywhere: `unix:/path`, `host:port`
 * @throws AdminUnreachable for what is no address
 */
export function connectAdmin(given: string, token: string | undefined): AdminClient {
  const parsed = parseEndpoint(given);
  if (parsed.kind === "bad") throw new AdminUnreachable(`${given} is no address: ${parsed.reason}`);
  const { endpoint } = parsed;
  const address = formatEndpoint(endpoint);
  const options = { headersTimeout: 0, bodyTimeout: 0 };
  const client =
    endpoint.kind === "unix"
      ? new Client("http://mailshunt", { ...options, socketPath: endpoint.path })
      : new Client(`http://${address}`, options);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };

  async function send(
    method: "GET" | "POST" | "PUT" | "DELETE",
    path: string,
    { query = {}, body, text }: AdminRequest,
  ): Promise<Awaited<ReturnType<Client["request"]>>> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
    const target = search.size === 0 ? path : `${path}?${search.toString()}`;
    const type = text === undefined ? "application/json" : "text/plain; charset=utf-8";
    const sent =
      body === undefined && text === undefined
        ? {}
        : {
            body: text ?? JSON.stringify(body),
            headers: { ...headers, "content-type": type },
          };
    let response: Awaited<ReturnType<Client["request"]>>;
    try {
      response = await client.request({ method, path: target, headers, ...sent } as Parameters<Client["request"]>[0]);
    } catch (error) {
      throw new AdminUnreachable(`${address}: ${reasonOf(error)}`, { cause: error });
    }
    if (response.statusCode === 200) return response;
    throw refusalOf(response.statusCode, await response.body.text());
  }

  return {
    address,
    async ask<Result>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, request: AdminRequest = {}) {
      const response = await send(method, path, request);
      return (await response.body.json()) as Result;
    },
    async *read(path, query = {}) {
      const response = await send("GET", path, { query });
      yield* response.body as AsyncIterable<Buffer>;
    },
    close: () => client.close(),
  };
}

function refusalOf(status: number, text: string): AdminRefused {
  try {
    const { title, detail } = JSON.parse(text) as { readonly title: unknown; readonly detail: unknown };
    return new AdminRefused(status, String(title), String(detail));
  } catch {
    return new AdminRefused(status, `status ${status}`, text.slice(0, 200));
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return "there is no such socket: does the daemon run, with an `admin` listener?";
  if (code === "ECONNREFUSED") return "nobody listens there: does the daemon run?";
  if (code === "EACCES") return "no permission to connect: see the owner and the mode of the socket";
  return error instanceof Error ? error.message : String(error);
}
