import { MAX_UNIX_PATH_BYTES } from "../../core/endpoint.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { encodeText } from "../../wire/text.ts";

/** Where an HTTP service is, and which path of it stands for a key. */
export interface UrlTemplate {
  /** Scheme, host and port; a service on a unix socket is called `http://localhost`. */
  readonly origin: string;
  readonly socketPath: string | undefined;
  /** From `http://user:password@host/`. */
  readonly credentials: { readonly user: string; readonly password: string } | undefined;
  /** Path and query around the placeholders: one piece more than there are of those. */
  readonly pieces: readonly string[];
  /** For messages: without credentials, which may also stand in a query. */
  readonly shown: string;
}

const PLACEHOLDER = /§|\{\}/;
const EXPECTED = "expected a URL such as http://app:8080/user/{} or http+unix://%2Frun%2Fapp.sock/user/{}";

/** Its faults never repeat the URL: there may be a password in it. */
export function parseUrlTemplate(text: string): Parsed<UrlTemplate> {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/s.exec(text);
  if (match === null) return bad(`${EXPECTED}; this one has no scheme`);
  const [, scheme = "", authority = "", rest = ""] = match;
  if (PLACEHOLDER.test(authority)) return bad("{} stands for the key, which must not say what host is asked");
  const place = parsePlace(scheme.toLowerCase(), authority);
  if (place.kind === "bad") return place;
  if (rest.includes("#")) return bad('what follows "#" in a URL is never sent to a server');
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  const pieces = path.split(PLACEHOLDER).map(encodeUnprintable);
  if (pieces.length < 2) return bad(`${EXPECTED}; {} or § stands for the key and is missing`);
  if (hasDotSegment(pieces.join("x"))) return bad('"." and ".." cannot stand for a part of the path');
  const [shownPath = ""] = path.split("?");
  return ok({ ...place.value, pieces, shown: place.value.shown + shownPath });
}

type Place = Omit<UrlTemplate, "pieces">;

function parsePlace(scheme: string, authority: string): Parsed<Place> {
  switch (scheme) {
    case "http":
    case "https":
      return parseHost(scheme, authority);
    case "http+unix":
      return parseSocket(authority);
    default:
      return bad(`${EXPECTED}; there is no "${scheme}://"`);
  }
}

function parseHost(scheme: string, authority: string): Parsed<Place> {
  const url = URL.parse(`${scheme}://${authority}`);
  // A backslash would end the host and begin a path.
  if (url === null || authority === "" || url.pathname !== "/") return bad(`${EXPECTED}; its host cannot be read`);
  const { origin } = url;
  const [user, password] = [decode(url.username), decode(url.password)];
  if (user === undefined || password === undefined) return bad(`"%" in a user or password is written %25`);
  const credentials = user === "" && password === "" ? undefined : { user, password };
  return ok({ origin, socketPath: undefined, credentials, shown: origin });
}

/** As requests-unixsocket, AsyncHTTPClient and others write it: the path, percent-encoded, in place of the host. */
function parseSocket(authority: string): Parsed<Place> {
  const socketPath = decode(authority);
  if (socketPath === undefined || !socketPath.startsWith("/"))
    return bad("the path of the unix socket stands before the first slash: http+unix://%2Frun%2Fapp.sock/user/{}");
  if (Buffer.byteLength(socketPath) > MAX_UNIX_PATH_BYTES || socketPath.includes("\0"))
    return bad(`the path of a unix socket may have ${MAX_UNIX_PATH_BYTES} bytes at most`);
  return ok({ origin: "http://localhost", socketPath, credentials: undefined, shown: `http+unix://${authority}` });
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** @returns undefined for a key that would lead elsewhere, as `..` does: servers resolve it even percent-encoded */
export function fillUrlTemplate({ pieces }: UrlTemplate, key: string): string | undefined {
  const path = pieces.join(quoteKey(key));
  return hasDotSegment(path) ? undefined : path;
}

function hasDotSegment(path: string): boolean {
  const query = path.indexOf("?");
  return /\/\.\.?(?:\/|$)/.test(query === -1 ? path : path.slice(0, query));
}

const ESCAPES = Array.from({ length: 256 }, (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`);

/** As `urllib.parse.quote` of Python does, since podop did: letters, digits, `_.-~` and `/` stay. */
export const quoteKey = (key: string): string => key.replace(/[^A-Za-z0-9_.\-~/]+/g, escapeBytes);

const encodeUnprintable = (text: string): string => text.replace(/[^!-~]+/g, escapeBytes);

function escapeBytes(text: string): string {
  let escaped = "";
  for (const byte of encodeText(text)) escaped += ESCAPES[byte] ?? "";
  return escaped;
}
