import { createHash, timingSafeEqual } from "node:crypto";

export type AuthService = "imap" | "pop3" | "submission";

/** What nginx asks of us. The password, which is in the headers, is never taken out of them. */
export type AuthRequest =
  | {
      readonly kind: "login";
      readonly service: AuthService;
      /** As the client gave it, one character a byte. */
      readonly user: string;
      /** nginx's client. */
      readonly client: string;
    }
  /** nothing that a change of nginx's configuration would not put right. */
  | { readonly kind: "unanswerable"; readonly service: AuthService; readonly reason: string }
  | { readonly kind: "malformed"; readonly reason: string };

const SERVICES: ReadonlyMap<string, AuthService> = new Map([
  ["imap", "imap"],
  ["pop3", "pop3"],
  ["smtp", "submission"],
]);

/** @param headers by name in lower case, one character a byte */
export function readRequest(headers: ReadonlyMap<string, string>): AuthRequest {
  const service = SERVICES.get(headers.get("auth-protocol") ?? "");
  if (service === undefined) return malformed("Auth-Protocol is none of imap, pop3, smtp");
  const method = headers.get("auth-method");
  if (method === undefined) return malformed("there is no Auth-Method");
  const reason = whyUnanswerable(method);
  if (reason !== undefined) return { kind: "unanswerable", service, reason };
  const encoded = headers.get("auth-user");
  if (encoded === undefined || encoded === "") return malformed("there is no Auth-User");
  const user = decodePercent(encoded);
  if (user === undefined) return malformed("Auth-User has a % without two hexadecimal digits");
  return { kind: "login", service, user, client: headers.get("client-ip") ?? "unknown" };
}

const malformed = (reason: string): AuthRequest => ({ kind: "malformed", reason });

function whyUnanswerable(method: string): string | undefined {
  switch (method) {
    case "plain":
    case "external":
      return undefined;
    case "apop":
    case "cram-md5":
      return `${method} needs passwords, which only stores know: leave it out of nginx's imap_auth, pop3_auth and smtp_auth`;
    case "none":
      return "nobody has logged in: smtp_auth none of nginx cannot be routed, one recipient stands for all";
    default:
      return `there is no Auth-Method ${method}`;
  }
}

/** nginx encodes 0x00 to 0x1f, the blank and `%`; `+` and bytes from 0x7f on stand for themselves. */
function decodePercent(text: string): string | undefined {
  if (!text.includes("%")) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/%(..)/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/**
 * The user whose mailbox a login name is for: with a separator `*`, that of `ada*admin` is ada's, to whom somebody else
 * logs in.
 * @param separator empty: there is none
 */
export function mailboxOf(user: string, separator: string): string {
  const at = separator === "" ? -1 : user.indexOf(separator);
  return at > 0 ? user.slice(0, at) : user;
}

/** In a time that tells nothing. @param given one character a byte; undefined where there is no such header */
export function isSameSecret(given: string | undefined, expected: string): boolean {
  const digest = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
  const isSame = timingSafeEqual(digest(Buffer.from(given ?? "", "latin1")), digest(Buffer.from(expected)));
  return given !== undefined && isSame;
}
