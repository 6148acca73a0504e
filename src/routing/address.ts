import type { RoutingOptions } from "./options.ts";

/** A recipient's parts as text (UTF-8 decoded), the local part unquoted. */
export interface Address {
  readonly localPart: string;
  /** undefined: an address without domain, such as `postmaster`. */
  readonly domain: string | undefined;
}

const CAPITALS = /[A-Z]/;
const QUOTED_LOCAL_PART = /^"((?:[^"\\]|\\.)*)"(?:@(.*))?$/s;

/** @param text a path as it came: one character a byte, quotes included. RFC 5321 4.1.2, RFC 6531 3.3 */
export function parseAddress(text: string): Address {
  const decoded = /[\x80-\xff]/.test(text) ? Buffer.from(text, "latin1").toString("utf8").normalize("NFC") : text;
  const quoted = decoded.startsWith('"') ? QUOTED_LOCAL_PART.exec(decoded) : null;
  if (quoted !== null) return { localPart: (quoted[1] ?? "").replace(/\\(.)/gs, "$1"), domain: quoted[2] };
  const at = decoded.lastIndexOf("@");
  return at === -1
    ? { localPart: decoded, domain: undefined }
    : { localPart: decoded.slice(0, at), domain: decoded.slice(at + 1) };
}

/** The path with its domain in lower case, everything else byte for byte as it came. */
export function lowercaseDomain(text: string): string {
  const at = text.endsWith('"') ? -1 : text.lastIndexOf("@");
  if (at === -1 || !CAPITALS.test(text)) return text;
  // Only ASCII: the other bytes are pieces of UTF-8.
  return text.slice(0, at) + text.slice(at).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export interface UserKeys {
  /** The one name by which holds, directory and moves know the user. */
  readonly userKey: string;
  /** What tables are asked, in order: as it came, in lower case, then both without extension. */
  readonly tableKeys: readonly string[];
}

export function userKeys(address: Address, options: Pick<RoutingOptions, "key" | "recipientDelimiter">): UserKeys {
  const { localPart, domain } = address;
  const base = withoutExtension(localPart, options.recipientDelimiter);
  const hasDomain = options.key === "address" && domain !== undefined;
  const asItCame = hasDomain ? `${localPart}@${domain}` : localPart;
  const baseAsItCame = hasDomain ? `${base}@${domain}` : base;
  const userKey = baseAsItCame.toLowerCase();
  if (asItCame === userKey) return { userKey, tableKeys: [userKey] };
  return { userKey, tableKeys: [...new Set([asItCame, asItCame.toLowerCase(), baseAsItCame, userKey])] };
}

/** A recipient, as it would come, whose user key this is; undefined where none has it. */
export function recipientOf(
  userKey: string,
  options: Pick<RoutingOptions, "key" | "recipientDelimiter">,
): string | undefined {
  const quote = (localPart: string): string => `"${localPart.replaceAll(/["\\]/g, "\\$&")}"`;
  const at = userKey.lastIndexOf("@");
  const spellings = [userKey, `${quote(userKey.slice(0, Math.max(0, at)))}${userKey.slice(at)}`, quote(userKey)];
  return spellings
    .map((text) => Buffer.from(text).toString("latin1"))
    .find((recipient) => userKeys(parseAddress(recipient), options).userKey === userKey);
}

/** Cuts at the first delimiter that leaves something before it, as Postfix does. */
function withoutExtension(localPart: string, delimiters: string): string {
  for (let at = 1; at < localPart.length; at += 1)
    if (delimiters.includes(localPart.charAt(at))) return localPart.slice(0, at);
  return localPart;
}
