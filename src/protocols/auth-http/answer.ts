import { unreachable } from "../../core/unreachable.ts";
import type { MalformedStatus } from "./request-decoder.ts";
import type { AuthService } from "./request.ts";

/** Longest head that nginx reads, in bytes: then it tells its client of an internal error. Source: ngx_mail_auth_http_module.c. */
export const MAX_ANSWER_BYTES = 1024;

/**
 * How long nginx keeps the client of a refused login waiting, in s. Without it nginx closes the connection, with it the
 * client may try again there.
 */
const REFUSAL_WAIT_S = 3;

export type AuthAnswer =
  | {
      readonly kind: "go";
      /** Numeric, without brackets: nginx looks up no names. */
      readonly ip: string;
      readonly port: number;
    }
  /** `credentials` and `closed` are final. */
  | { readonly kind: "credentials" | "closed" | "moving" | "temporary" };

/** The status code is ignored by nginx, everything else is for this one answer: each further header is a risk. */
export function encodeAnswer(service: AuthService, answer: AuthAnswer): Buffer {
  if (answer.kind === "go")
    return encode(`Auth-Status: OK\r\nAuth-Server: ${answer.ip}\r\nAuth-Port: ${answer.port}\r\n`);
  const { text, code } = WORDS[service](answer.kind);
  const codeLine = code === undefined ? "" : `Auth-Error-Code: ${code}\r\n`;
  return encode(`Auth-Status: ${text}\r\n${codeLine}Auth-Wait: ${REFUSAL_WAIT_S}\r\n`);
}

/** Without Auth-Status: nginx's client hears of an internal error, and tries again. */
export function encodeRejection(status: MalformedStatus | "403 Forbidden"): Buffer {
  return Buffer.from(`HTTP/1.0 ${status}\r\n\r\n`);
}

const encode = (headers: string): Buffer => Buffer.from(`HTTP/1.0 200 OK\r\n${headers}\r\n`);

type Refusal = Exclude<AuthAnswer["kind"], "go">;

interface Words {
  readonly text: string;
  /** What an SMTP reply begins with. */
  readonly code?: string;
}

const TEXTS: Readonly<Record<Refusal, string>> = {
  credentials: "Authentication failed",
  closed: "This mailbox is closed",
  moving: "Your mailbox is being moved, try again in a few minutes",
  temporary: "Temporary failure, try again later",
};

const WORDS: Readonly<Record<AuthService, (refusal: Refusal) => Words>> = {
  imap: (refusal) => ({ text: `[${imapCode(refusal)}] ${TEXTS[refusal]}` }),
  pop3: (refusal) => ({ text: `[${pop3Code(refusal)}] ${TEXTS[refusal]}` }),
  submission: (refusal) => ({ text: TEXTS[refusal], code: smtpCode(refusal) }),
};

/** RFC 5530 3. */
function imapCode(refusal: Refusal): string {
  switch (refusal) {
    case "credentials":
      return "AUTHENTICATIONFAILED";
    case "closed":
      return "CONTACTADMIN";
    case "moving":
    case "temporary":
      return "UNAVAILABLE";
    default:
      return unreachable(refusal);
  }
}

/** RFC 3206 4 and 5. */
function pop3Code(refusal: Refusal): string {
  switch (refusal) {
    case "credentials":
      return "AUTH";
    case "closed":
      return "SYS/PERM";
    case "moving":
    case "temporary":
      return "SYS/TEMP";
    default:
      return unreachable(refusal);
  }
}

/** RFC 4954 6, RFC 5248 3: a client must not ask for another password after 454. */
function smtpCode(refusal: Refusal): string {
  switch (refusal) {
    case "credentials":
      return "535 5.7.8";
    case "closed":
      return "525 5.7.13";
    case "moving":
    case "temporary":
      return "454 4.7.0";
    default:
      return unreachable(refusal);
  }
}
