import { MAX_UNIX_PATH_BYTES, parseEndpoint } from "../../core/endpoint.ts";
import type { Endpoint } from "../../core/endpoint.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";

export interface LdapUrl {
  readonly scheme: "ldap" | "ldaps" | "ldapi";
  readonly endpoint: Endpoint;
}

const EXPECTED = 'expected "ldap://host", "ldaps://host:636" or "ldapi://%2Frun%2Fslapd%2Fldapi"';

/** What may follow the host in other programs' URLs has options of its own here. */
export function parseLdapUrl(given: string): Parsed<LdapUrl> {
  const [, scheme = "", rest = ""] = /^(ldaps?|ldapi):\/\/(.*?)\/?$/.exec(given) ?? [];
  if (scheme === "ldapi") return parseSocket(given, rest);
  if (scheme !== "ldap" && scheme !== "ldaps") return bad(`${EXPECTED}, got "${given}"`);
  if (/[/?#@]/.test(rest)) return bad(`an URL of a host and no more: base, filter and user are options of their own`);
  const hasPort = /:\d+$/.test(rest) && !/^[^[]*:.*:/.test(rest);
  const parsed = parseEndpoint(hasPort ? rest : `${rest}:${scheme === "ldap" ? 389 : 636}`);
  if (parsed.kind === "bad" || parsed.endpoint.kind === "unix") return bad(`${EXPECTED}, got "${given}"`);
  return parsed.endpoint.port === 0 ? bad("a port is at least 1") : ok({ scheme, endpoint: parsed.endpoint });
}

function parseSocket(given: string, rest: string): Parsed<LdapUrl> {
  const path = decode(rest);
  if (path?.startsWith("/") !== true)
    return bad(`the path behind ldapi:// has %2F for "/": ${EXPECTED}, got "${given}"`);
  if (Buffer.byteLength(path) > MAX_UNIX_PATH_BYTES)
    return bad(`the path of a unix socket may have ${MAX_UNIX_PATH_BYTES} bytes at most: "${path}"`);
  return ok({ scheme: "ldapi", endpoint: { kind: "unix", path } });
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
