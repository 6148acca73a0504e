import { statSync } from "node:fs";
import { Readable } from "node:stream";
import { Pool } from "undici";
import type { Dispatcher } from "undici";
import { formatEndpoint, parseEndpoint } from "../core/endpoint.ts";
import type { Endpoint } from "../core/endpoint.ts";

/** Nobody answers there, so nothing was done. */
export class AdminUnreachable extends Error {
  override readonly name = "AdminUnreachable";
  readonly code = "ADMIN_UNREACHABLE";
}

/** The daemon went before it had answered: what was asked for may be done or not. */
export class AdminCutOff extends Error {
  override readonly name = "AdminCutOff";
  readonly code = "ADMIN_CUT_OFF";
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

export type AdminMethod = "GET" | "POST" | "PUT" | "DELETE";
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
  /** @throws AdminUnreachable, AdminCutOff, AdminRefused */
  ask<Result>(method: AdminMethod, path: string, request?: AdminRequest): Promise<Result>;
  /** @throws AdminUnreachable, AdminCutOff, AdminRefused */
  read(path: string, query?: AdminQuery): AsyncIterable<Buffer>;
  /** Waits for nothing. */
  close(): Promise<void>;
}

/** Connections at most: as many requests wait for answers at once. */
export const MAX_CONNECTIONS = 50;

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * @param given an address as everywhere: `unix:/path`, `host:port`
 * @param onAnswer called for each answer, when it begins
 * @throws AdminUnreachable for what is no address
 */
export function connectAdmin(given: string, token: string | undefined, onAnswer?: () => void): AdminClient {
  const parsed = parseEndpoint(given);
  if (parsed.kind === "bad") throw new AdminUnreachable(`${given} is no address: ${parsed.reason}`);
  const { endpoint } = parsed;
  const address = formatEndpoint(endpoint);
  // An answer comes when the drain has ended; a daemon that is gone ends the connection.
  const options = {
    headersTimeout: 0,
    bodyTimeout: 0,
    connections: MAX_CONNECTIONS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  };
  const pool =
    endpoint.kind === "unix"
      ? new Pool("http://mailshunt", { ...options, socketPath: endpoint.path })
      : new Pool(`http://${address}`, options);

  async function send(
    method: AdminMethod,
    path: string,
    { query = {}, body, text }: AdminRequest,
  ): Promise<Dispatcher.ResponseData> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
    if (text !== undefined) headers["content-type"] = "text/plain; charset=utf-8";
    else if (body !== undefined) headers["content-type"] = "application/json";
    const options = { method, path: search.size === 0 ? path : `${path}?${search.toString()}`, headers };
    let response: Dispatcher.ResponseData;
    try {
      const sent = text === undefined ? JSON.stringify(body) : Readable.from(text);
      response = await pool.request(sent === undefined ? options : { ...options, body: sent });
    } catch (error) {
      throw toFault(endpoint, error);
    }
    onAnswer?.();
    if (response.statusCode === 200) return response;
    const refusal = await response.body.text().catch(() => "");
    throw refusalOf(response.statusCode, refusal);
  }

  return {
    address,
    async ask<Result>(method: AdminMethod, path: string, request: AdminRequest = {}) {
      const { body } = await send(method, path, request);
      const text = await body.text().catch((error: unknown) => {
        throw cutOff(address, error);
      });
      try {
        return JSON.parse(text) as Result;
      } catch {
        throw new AdminUnreachable(`${address}: what answers there is no mailshunt`);
      }
    },
    async *read(path, query = {}) {
      const { body } = await send("GET", path, { query });
      try {
        yield* body as AsyncIterable<Buffer>;
      } catch (error) {
        throw cutOff(address, error);
      }
    },
    close: () => pool.destroy(),
  };
}

function refusalOf(status: number, text: string): AdminRefused {
  try {
    const { title, detail } = JSON.parse(text) as { readonly title?: unknown; readonly detail?: unknown };
    if (typeof title === "string" && typeof detail === "string") return new AdminRefused(status, title, detail);
  } catch {
    // Not of ours: said as it is.
  }
  const said = text.replaceAll(/\s+/g, " ").trim().slice(0, 200);
  const more = said === "" ? "" : `: ${said}`;
  if (status === 503) return new AdminRefused(status, "Refused", `the daemon has no room for another client${more}`);
  return new AdminRefused(status, "Refused", `the answer has the status ${status}${more}`);
}

const cutOff = (address: string, cause: unknown): AdminCutOff =>
  new AdminCutOff(`${address}: the daemon went away before it had answered: whether it was done is not known`, {
    cause,
  });

function toFault(endpoint: Endpoint, error: unknown): Error {
  const address = formatEndpoint(endpoint);
  const { code = "", syscall } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  const unreachable = (why: string): Error => new AdminUnreachable(`${address}: ${why}`, { cause: error });
  if (code === "UND_ERR_CONNECT_TIMEOUT") return unreachable("no connection in time");
  if (code === "EACCES" && endpoint.kind === "unix") return unreachable(describeNoAccess(endpoint.path));
  if (syscall === "connect" || syscall === "getaddrinfo") return unreachable(CONNECT_FAULTS.get(code) ?? code);
  if (code.startsWith("HPE_")) return unreachable("what answers there is no mailshunt");
  if (["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"].includes(code)) return cutOff(address, error);
  // What we send, such as a file, has faults of its own.
  return error instanceof Error ? error : new Error(String(error));
}

/** Whose it is tells who has to ask. Its folder may be closed, too. */
function describeNoAccess(path: string): string {
  let whose = "see the owner and the mode of the socket and of its folder";
  try {
    const { uid, gid, mode } = statSync(path);
    whose = `it belongs to user ${uid} and group ${gid}, mode ${(mode & 0o777).toString(8).padStart(4, "0")}`;
  } catch {
    // Not even that may be known.
  }
  return `no permission to connect: ${whose}; run the command as root or as the daemon's user`;
}

const CONNECT_FAULTS: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "there is no such socket: does the daemon run, with an `admin` listener there?"],
  ["ECONNREFUSED", "nobody listens there: does the daemon run?"],
  ["ENOTFOUND", "that name has no address"],
]);
