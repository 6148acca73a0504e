import type { Reply } from "./reply.ts";

/** What a store announced in its LHLO reply. RFC 5321 4.1.1.1. */
export interface Capabilities {
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  /** Whether SIZE is known at all, so that MAIL may carry it. */
  readonly size: boolean;
  /** Largest message in bytes; undefined: none stated. */
  readonly sizeLimitBytes: number | undefined;
  /** SASL mechanisms in upper case. */
  readonly auth: ReadonlySet<string>;
  readonly xforward: ReadonlySet<string>;
  /** Tokens of mailshunt daemons in this reply: our own means that we talk to ourselves. */
  readonly loopToken: string | undefined;
}

/** Keyword under which a mailshunt shows its token; unknown keywords are ignored by every client (RFC 5321 4.1.1.1). */
export const LOOP_KEYWORD = "XMAILSHUNT";

export function parseCapabilities(reply: Reply): Capabilities {
  const keywords = new Map<string, string>();
  // The first line is the server's name. Cyrus ends with "Ok SESSIONID=<…>", which is no keyword of ours.
  for (const line of reply.lines.slice(1)) {
    const match = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?$/.exec(line);
    if (match?.[1] === undefined) continue;
    const keyword = match[1].toUpperCase();
    keywords.set(keyword, `${keywords.get(keyword) ?? ""} ${match[2] ?? ""}`.trim());
  }
  const sizeLimit = Number(/^\d+$/.exec(keywords.get("SIZE") ?? "")?.[0] ?? 0);
  return {
    pipelining: keywords.has("PIPELINING"),
    eightBitMime: keywords.has("8BITMIME"),
    smtpUtf8: keywords.has("SMTPUTF8"),
    dsn: keywords.has("DSN"),
    size: keywords.has("SIZE"),
    sizeLimitBytes: sizeLimit > 0 ? sizeLimit : undefined,
    auth: words(keywords.get("AUTH")),
    xforward: words(keywords.get("XFORWARD")),
    loopToken: keywords.get(LOOP_KEYWORD),
  };
}

function words(text: string | undefined): ReadonlySet<string> {
  return new Set(
    (text ?? "")
      .toUpperCase()
      .split(/[ \t]+/)
      .filter((word) => word !== ""),
  );
}
