import type { StoreOptions } from "./options.ts";

/** Longest file name in bytes. Source: NAME_MAX of Linux. */
const MAX_NAME_BYTES = 255;

const QUOTED_LOCAL_PART = /^"((?:[^"\\]|\\.)*)"(?:@(.*))?$/s;

/**
 * The folder of a recipient: local part (or address) unquoted, in lower case, without its extension. What could leave
 * the directory or hide in it (`/`, a dot in front, control characters, and `%` itself) is written `%2f`.
 * @param address as it came, one character a byte
 * @returns undefined where no folder can have the name
 */
export function mailboxName(
  address: string,
  { key, recipientDelimiter }: Pick<StoreOptions, "key" | "recipientDelimiter">,
): string | undefined {
  const text = Buffer.from(address, "latin1").toString("utf8").normalize("NFC");
  const quoted = QUOTED_LOCAL_PART.exec(text);
  const at = text.lastIndexOf("@");
  const localPart = quoted === null ? text.slice(0, at === -1 ? undefined : at) : unescape(quoted[1] ?? "");
  const domain = quoted === null ? (at === -1 ? "" : text.slice(at + 1)) : (quoted[2] ?? "");
  const user = withoutExtension(localPart, recipientDelimiter);
  const name = (key === "address" && domain !== "" ? `${user}@${domain}` : user).toLowerCase();
  const safe = name.replace(/[/%\p{Cc}]|^\./gu, escapeByte);
  return user === "" || Buffer.byteLength(safe) > MAX_NAME_BYTES ? undefined : safe;
}

function unescape(quoted: string): string {
  return quoted.replace(/\\(.)/gs, "$1");
}

function escapeByte(char: string): string {
  return `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** Cuts at the first delimiter that leaves something before it. */
function withoutExtension(localPart: string, delimiters: string): string {
  for (let at = 1; at < localPart.length; at += 1)
    if (delimiters.includes(localPart.charAt(at))) return localPart.slice(0, at);
  return localPart;
}
