import { isIPv6 } from "node:net";

/** Where a socket is: written `unix:/path`, `host:port` or `[v6]:port` in files and on command lines. */
export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Longest path of a unix socket in bytes, without the closing NUL. Source: sun_path of unix(7) on Linux. */
export const MAX_UNIX_PATH_BYTES = 107;

export type EndpointParse =
  | { readonly kind: "ok"; readonly endpoint: Endpoint }
  | { readonly kind: "bad"; readonly reason: string };

const bad = (reason: string): EndpointParse => ({ kind: "bad", reason });

export function parseEndpoint(text: string): EndpointParse {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (!path.startsWith("/")) return bad(`the path of a unix socket must be absolute: "${text}"`);
    if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES)
      return bad(`the path of a unix socket may have ${MAX_UNIX_PATH_BYTES} bytes at most: "${text}"`);
    return { kind: "ok", endpoint: { kind: "unix", path } };
  }
  const match = /^(?:\[([^[\]\s]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  if (match === null) return bad(`expected "unix:/path", "host:port" or "[v6]:port", got "${text}"`);
  const [, v6, name = ""] = match;
  if (v6 !== undefined && !isIPv6(v6)) return bad(`in brackets stands an IPv6 address, got "${text}"`);
  const port = Number(match[3]);
  if (port > 65_535) return bad(`a port is at most 65535: "${text}"`);
  return { kind: "ok", endpoint: { kind: "tcp", host: v6 ?? name, port } };
}

export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === "unix") return `unix:${endpoint.path}`;
  return endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}
