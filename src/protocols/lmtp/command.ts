import { parsePath, type Path } from "./path.ts";
import { reply, type Reply } from "./reply.ts";
import { parseXforward, type XforwardAttributes } from "./xforward.ts";

/** MAIL and RCPT parameters by keyword in upper case; a parameter without value has "". */
export type Parameters = ReadonlyMap<string, string>;

/** A command line of LMTP (RFC 2033, RFC 5321 section 4.1), decoded. Texts hold one character a byte. */
export type Command =
  | { readonly kind: "lhlo"; readonly client: string }
  | { readonly kind: "mail"; readonly sender: Path; readonly parameters: Parameters }
  | { readonly kind: "rcpt"; readonly recipient: Path; readonly parameters: Parameters }
  | { readonly kind: "data" }
  | { readonly kind: "bdat"; readonly bytes: number; readonly isLast: boolean }
  | { readonly kind: "rset" }
  | { readonly kind: "noop" }
  | { readonly kind: "quit" }
  | { readonly kind: "xforward"; readonly attributes: XforwardAttributes }
  /** What follows it may be content as well as commands: the session cannot go on. */
  | { readonly kind: "broken"; readonly reply: Reply }
  /** Nothing that changes the session: the reply is already known. */
  | { readonly kind: "answered"; readonly reply: Reply };

const answered = (code: number, enhanced: string, text: string): Command => ({
  kind: "answered",
  reply: reply(code, enhanced, text),
});

/** Largest BDAT chunk: what a double holds exactly. RFC 3030 allows 20 digits. */
const MAX_CHUNK_BYTES = Number.MAX_SAFE_INTEGER;

/** Longest parameter value in bytes; ORCPT and AUTH may have 500. RFC 3461 section 5.4, RFC 4954 section 5. */
const MAX_VALUE_BYTES = 1000;
const BDAT = /^BDAT(?![A-Z0-9])/i;
const NO_PARAMETERS: Parameters = new Map();

const MAIL_PARAMETERS = new Set(["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"]);
const RCPT_PARAMETERS = new Set(["NOTIFY", "ORCPT"]);

export function parseCommand(line: string): Command {
  if (BDAT.test(line)) return parseBdat(line.slice("BDAT".length));
  const space = line.indexOf(" ");
  const verb = (space === -1 ? line : line.slice(0, space)).toUpperCase();
  const rest = space === -1 ? "" : line.slice(space + 1);
  switch (verb) {
    case "MAIL":
      return parseMail(rest);
    case "RCPT":
      return parseRcpt(rest);
    case "DATA":
      return rest.trim() === "" ? { kind: "data" } : answered(501, "5.5.4", "DATA takes no parameters");
    case "RSET":
      return rest.trim() === "" ? { kind: "rset" } : answered(501, "5.5.4", "RSET takes no parameters");
    case "NOOP":
      return { kind: "noop" };
    case "QUIT":
      return { kind: "quit" };
    case "LHLO":
      return rest.trim() === "" ? answered(501, "5.5.4", "LHLO needs a name") : { kind: "lhlo", client: rest.trim() };
    case "XFORWARD":
      return parseXforwardCommand(rest);
    case "VRFY":
      return answered(252, "2.1.5", "Cannot verify a user, but will take a message and try");
    case "HELP":
      return answered(214, "2.0.0", "This is LMTP: RFC 2033");
    case "HELO":
    case "EHLO":
      return answered(500, "5.5.1", "This is LMTP: say LHLO");
    case "EXPN":
    case "TURN":
    case "ETRN":
    case "STARTTLS":
    case "AUTH":
    case "XCLIENT":
      return answered(502, "5.5.1", "Command not implemented");
    default:
      return answered(500, "5.5.2", "Command not recognized");
  }
}

function parseMail(rest: string): Command {
  const path = parsePath(rest, "FROM:");
  if (path === undefined) return answered(501, "5.1.7", "Bad sender address syntax");
  const parameters = parseParameters(path.rest);
  if (parameters === undefined) return answered(501, "5.5.4", "Bad MAIL parameter syntax");
  for (const [keyword, value] of parameters) {
    const fault = mailParameterFault(keyword, value);
    if (fault !== undefined) return fault;
  }
  return { kind: "mail", sender: path.path, parameters };
}

function mailParameterFault(keyword: string, value: string): Command | undefined {
  if (!MAIL_PARAMETERS.has(keyword)) return answered(555, "5.5.4", `Unsupported parameter ${keyword}`);
  const isGood =
    (keyword === "SIZE" && /^\d{1,20}$/.test(value)) ||
    (keyword === "BODY" && /^(?:7BIT|8BITMIME)$/i.test(value)) ||
    (keyword === "SMTPUTF8" && value === "") ||
    (keyword === "RET" && /^(?:FULL|HDRS)$/i.test(value)) ||
    ((keyword === "ENVID" || keyword === "AUTH") && value !== "");
  return isGood ? undefined : answered(501, "5.5.4", `Bad value of parameter ${keyword}`);
}

function parseRcpt(rest: string): Command {
  const path = parsePath(rest, "TO:");
  if (path === undefined || path.path.text === "") return answered(501, "5.1.3", "Bad recipient address syntax");
  const parameters = parseParameters(path.rest);
  if (parameters === undefined) return answered(501, "5.5.4", "Bad RCPT parameter syntax");
  for (const [keyword, value] of parameters) {
    if (!RCPT_PARAMETERS.has(keyword)) return answered(555, "5.5.4", `Unsupported parameter ${keyword}`);
    if (value === "") return answered(501, "5.5.4", `Bad value of parameter ${keyword}`);
  }
  return { kind: "rcpt", recipient: path.path, parameters };
}

/** `keyword[=value]`, separated by blanks. RFC 5321 4.1.2; values may hold UTF-8 with SMTPUTF8. */
function parseParameters(text: string): Parameters | undefined {
  if (text === "") return NO_PARAMETERS;
  const parameters = new Map<string, string>();
  for (const word of text.split(" ")) {
    if (word === "") continue;
    const match = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\x80-\xff]+))?$/.exec(word);
    const keyword = match?.[1]?.toUpperCase();
    const value = match?.[2] ?? "";
    if (keyword === undefined || parameters.has(keyword) || value.length > MAX_VALUE_BYTES) return undefined;
    parameters.set(keyword, value);
  }
  return parameters;
}

function parseBdat(rest: string): Command {
  const match = /^ +(\d{1,20})(?: +(LAST))? *$/i.exec(rest);
  const bytes = Number(match?.[1]);
  if (match === null || bytes > MAX_CHUNK_BYTES)
    return { kind: "broken", reply: reply(501, "5.5.4", "Bad BDAT syntax: closing") };
  return { kind: "bdat", bytes, isLast: match[2] !== undefined };
}

function parseXforwardCommand(rest: string): Command {
  const attributes = parseXforward(rest);
  if (attributes === undefined) return answered(501, "5.5.4", "Bad XFORWARD syntax");
  return { kind: "xforward", attributes };
}
