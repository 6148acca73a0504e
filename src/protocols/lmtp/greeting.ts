import { LOOP_KEYWORD } from "./capabilities.ts";
import { reply, type Reply } from "./reply.ts";
import { XFORWARD_NAMES } from "./xforward.ts";

/** What a server offers beyond what it always does. */
export interface Announcement {
  readonly hostname: string;
  /** Shows a daemon that talks to itself; undefined: not shown. */
  readonly loopToken: string | undefined;
  /** Largest message in bytes; undefined: none stated. */
  readonly sizeLimitBytes: number | undefined;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  readonly xforward: boolean;
}

export function greeting(hostname: string, software: string): Reply {
  return reply(220, undefined, `${hostname} LMTP ${software}`);
}

/** RFC 5321 4.1.1.1, with the extensions that RFC 2033 section 5 wants of every server first. */
export function lhloReply(announcement: Announcement): Reply {
  const { hostname, loopToken, sizeLimitBytes, smtpUtf8, dsn, xforward } = announcement;
  return reply(
    250,
    undefined,
    hostname,
    "PIPELINING",
    "ENHANCEDSTATUSCODES",
    "8BITMIME",
    sizeLimitBytes === undefined ? "SIZE" : `SIZE ${sizeLimitBytes}`,
    ...(smtpUtf8 ? ["SMTPUTF8"] : []),
    ...(dsn ? ["DSN"] : []),
    "CHUNKING",
    ...(xforward ? [`XFORWARD ${XFORWARD_NAMES.join(" ")}`] : []),
    ...(loopToken === undefined ? [] : [`${LOOP_KEYWORD} ${loopToken}`]),
  );
}
