import { readFile } from "node:fs/promises";
import type { TextInput } from "./command-io.ts";

/** A message as LMTP carries it after DATA. */
export interface OutgoingMessage {
  /** Dot-stuffed, lines ended by CR LF, the final dot included. */
  readonly wire: Buffer;
  /** As SIZE counts them: line ends included, stuffing and final dot not. RFC 1870 section 5. */
  readonly sizeBytes: number;
  readonly hasEightBit: boolean;
}

/** Ends lines by CR LF, the last one too, and stuffs dots; nothing else changes. */
export function encodeMessage(content: Buffer): OutgoingMessage {
  const text = content.toString("latin1");
  const lines = text.replaceAll(/\r?\n/g, "\r\n");
  const whole = lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`;
  const stuffed = whole.replaceAll("\r\n.", "\r\n..").replace(/^\./, "..");
  return {
    wire: Buffer.from(`${stuffed}.\r\n`, "latin1"),
    sizeBytes: whole.length,
    hasEightBit: /[\x80-\xff]/.test(whole),
  };
}

export async function readMessage(file: string | undefined, stdin: TextInput): Promise<Buffer> {
  if (file !== undefined && file !== "-") return readFile(file);
  const pieces: Buffer[] = [];
  for await (const piece of stdin) pieces.push(typeof piece === "string" ? Buffer.from(piece) : piece);
  return Buffer.concat(pieces);
}

export interface TestMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly hostname: string;
  readonly now: Date;
  /** Makes the Message-ID unique. */
  readonly token: string;
}

/** What is sent when there is nothing to send. */
export function testMessage({ from, to, hostname, now, token }: TestMessage): Buffer {
  // toUTCString() is RFC 5322's form but for the zone, whose name is obsolete there.
  const date = now.toUTCString().replace("GMT", "+0000");
  const fields = [
    `Date: ${date}`,
    `From: ${from === "" ? `MAILER-DAEMON@${hostname}` : from}`,
    `To: ${to.join(", ")}`,
    `Message-ID: <${token}@${hostname}>`,
    "Subject: Test message of mailshunt send",
  ];
  return Buffer.from(`${fields.join("\n")}\n\nThis message was sent to see where it lands.\n`, "utf8");
}
