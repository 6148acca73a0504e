import { DOVECOT_PACKAGES, findDovecotImap } from "../support/dovecot.ts";
import { connectImap, type ImapClient } from "../support/imap-client.ts";
import { whyNot } from "./servers.ts";

/** Why no Dovecot with IMAP can run here, or false. */
export async function whyNoDovecotImap(): Promise<string | false> {
  const reason = await whyNot(DOVECOT_PACKAGES);
  if (reason !== false) return reason;
  const imap = await findDovecotImap();
  return imap.kind === "ready" ? false : imap.reason;
}

/** For `DovecotOptions.imapFolder`. */
export async function dovecotImapFolder(): Promise<string> {
  const imap = await findDovecotImap();
  if (imap.kind === "missing") throw new Error(imap.reason);
  return imap.folder;
}

/** @throws what the server says to a login that it refuses */
export async function logIn(port: number, user: string, password: string): Promise<ImapClient> {
  const client = await connectImap(port);
  try {
    await client.command(`LOGIN ${user} ${password}`);
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

/** @returns `OK`, or what the server says */
export async function tryLogIn(port: number, user: string, password: string): Promise<string> {
  try {
    (await logIn(port, user, password)).close();
    return "OK";
  } catch (error) {
    return String(error);
  }
}

/** Writes one annotation of INBOX. */
export async function setMetadata(client: ImapClient, entry: string, value: Buffer): Promise<void> {
  const command = Buffer.from(`SETMETADATA INBOX (${entry} {${value.length}+}\r\n`);
  await client.command(Buffer.concat([command, value, Buffer.from(")")]));
}

/** The value of one annotation of INBOX; undefined where there is none. */
export async function getMetadata(client: ImapClient, entry: string): Promise<Buffer | undefined> {
  const [answer] = await client.command(`GETMETADATA INBOX (${entry})`);
  if (answer === undefined) throw new Error(`no answer for ${entry}`);
  const [literal] = answer.literals;
  if (literal !== undefined) return literal;
  const [, value = "", quoted] = /^\* METADATA INBOX \(\S+ (NIL|"(.*)")\)$/.exec(answer.text) ?? [];
  if (value === "NIL") return undefined;
  if (quoted === undefined) throw new Error(`no value in ${answer.text}`);
  return Buffer.from(quoted.replaceAll(/\\(.)/g, "$1"), "latin1");
}

/** What an annotation may hold, and more. */
export const ODD_METADATA: readonly { readonly what: string; readonly value: Buffer }[] = [
  { what: "text", value: Buffer.from("Hello") },
  { what: "lines and tabs", value: Buffer.from("a\tb\r\nc\n\nd\t") },
  { what: "control characters", value: Buffer.from("\x01\x01t\x01n\x1f\x7f") },
  { what: "UTF-8", value: Buffer.from("ü€𝄞 §{}%") },
  { what: "bytes that are no UTF-8", value: Buffer.from("\xff\xfc \xc3", "latin1") },
  { what: "what is JSON", value: Buffer.from('{"a":[1,null]}') },
  { what: "quotes and backslashes", value: Buffer.from('"\\"') },
  { what: "60 kB", value: Buffer.alloc(60_000, "0123456789\n") },
];
