import type { Capabilities } from "../protocols/lmtp/capabilities.ts";
import type { Parameters } from "../protocols/lmtp/command.ts";
import { reply, type Reply } from "../protocols/lmtp/reply.ts";
import type { MailCommand } from "../protocols/lmtp/server-session.ts";
import { encodeXforward } from "../protocols/lmtp/xforward.ts";
import { lowercaseDomain } from "../routing/address.ts";

const NON_ASCII = /[\x80-\xff]/;

const NO_SMTPUTF8 = reply(
  553,
  "5.6.7",
  "The mailbox store of this recipient does not take internationalized addresses",
);

/**
 * The lines that begin a transaction at a store, MAIL last. A store refuses parameters that it did not announce
 * (Dovecot: 555), so it is sent none. AUTH= is dropped: it speaks of the client's own session (RFC 4954 section 5).
 */
export function envelopeLines(mail: MailCommand, capabilities: Capabilities): { xforward: string[]; mail: string } {
  let line = `MAIL FROM:<${mail.sender.text}>`;
  const xforward = mail.xforward.size === 0 ? [] : encodeXforward(mail.xforward, capabilities.xforward);
  if (mail.parameters.size === 0) return { xforward, mail: `${line}\r\n` };
  const passOn = (keyword: string, isTaken: boolean): void => {
    const value = mail.parameters.get(keyword);
    if (isTaken && value !== undefined) line += value === "" ? ` ${keyword}` : ` ${keyword}=${value}`;
  };
  passOn("SIZE", capabilities.size);
  // UTF-8 headers are 8-bit content: a store without SMTPUTF8 must at least know that.
  const isUtf8 = mail.parameters.has("SMTPUTF8");
  if (isUtf8 && !mail.parameters.has("BODY") && capabilities.eightBitMime) line += " BODY=8BITMIME";
  passOn("BODY", capabilities.eightBitMime);
  passOn("SMTPUTF8", capabilities.smtpUtf8);
  passOn("RET", capabilities.dsn);
  passOn("ENVID", capabilities.dsn);
  return { xforward, mail: `${line}\r\n` };
}

export function rcptLine(
  address: string,
  parameters: Parameters,
  capabilities: Capabilities,
  isDomainLowered: boolean,
): string {
  let line = `RCPT TO:<${isDomainLowered ? lowercaseDomain(address) : address}>`;
  if (capabilities.dsn && parameters.size > 0)
    for (const keyword of ["NOTIFY", "ORCPT"]) {
      const value = parameters.get(keyword);
      if (value !== undefined) line += ` ${keyword}=${value}`;
    }
  return `${line}\r\n`;
}

/** Why a store cannot take this recipient's mail at all, before it is asked. RFC 6531 section 3.5. */
export function addressFault(mail: MailCommand, address: string, capabilities: Capabilities): Reply | undefined {
  if (capabilities.smtpUtf8 || !mail.parameters.has("SMTPUTF8")) return undefined;
  return NON_ASCII.test(mail.sender.text) || NON_ASCII.test(address) ? NO_SMTPUTF8 : undefined;
}
