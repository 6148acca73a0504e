/** One SMTP reply. RFC 5321 section 4.2. Texts hold one character a byte (latin1). */
export interface Reply {
  readonly code: number;
  /** Enhanced status code of the last line that has a fitting one (RFC 2034), such as `5.1.1`. */
  readonly enhanced: string | undefined;
  /** Texts of the lines, without code and enhanced code. Never empty. */
  readonly lines: readonly string[];
}

export function isPositive(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300;
}

/** @param enhanced e.g. `4.2.1`; undefined for a greeting, a LHLO reply or 354, which have none (RFC 2034 section 4) */
export function reply(code: number, enhanced: string | undefined, ...lines: [string, ...string[]]): Reply {
  return { code, enhanced, lines };
}

/** As the wire has it. Every line repeats the enhanced code (RFC 2034 section 4). */
export function encodeReply({ code, enhanced, lines }: Reply): string {
  const status = enhanced === undefined ? "" : `${enhanced} `;
  if (lines.length === 1) return `${code} ${status}${lines[0]}\r\n`;
  return lines.map((line, index) => `${code}${index === lines.length - 1 ? " " : "-"}${status}${line}\r\n`).join("");
}

/** The reply on one line, for logs and error texts. */
export function describeReply({ code, enhanced, lines }: Reply): string {
  return `${code} ${enhanced === undefined ? "" : `${enhanced} `}${lines.join(" ")}`;
}
