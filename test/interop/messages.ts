import { randomUUID } from "node:crypto";

export interface TestMessage {
  /** Without angle brackets. */
  readonly id: string;
  readonly content: string;
}

/** A message like any other. Its Message-ID and Date are its own: Cyrus adds what lacks and drops what it knows. */
export function newMessage(subject = "test", body = "Hello.\r\n"): TestMessage {
  const id = `${randomUUID()}@x.example`;
  const header = [
    "From: s@x.example",
    "To: everybody@example.com",
    `Subject: ${subject}`,
    "Date: Fri, 20 Nov 2026 15:42:29 +0000",
    `Message-ID: <${id}>`,
  ];
  return { id, content: `${header.join("\r\n")}\r\n\r\n${body}` };
}

/** How many of a mailbox's messages are this one. */
export function countCopies(messages: readonly Buffer[], { id }: TestMessage): number {
  return messages.filter((message) => message.includes(`Message-ID: <${id}>`)).length;
}

const TRACE_NAMES = ["return-path", "delivered-to", "x-cyrus-session-id", "x-sieve"];

/**
 * A stored message without the headers that its store has put before it: what the store was given.
 * The store's own Received says `with LMTP`; Postfix's, which belongs to the message, does not.
 */
export function withoutStoreTrace(stored: Buffer): Buffer {
  let at = 0;
  for (;;) {
    const end = endOfHeader(stored, at);
    const header = stored.toString("latin1", at, end);
    const name = header.slice(0, header.indexOf(":")).toLowerCase();
    const isTrace = TRACE_NAMES.includes(name) || (name === "received" && /\swith LMTP/.test(header));
    if (!isTrace) return stored.subarray(at);
    at = end;
  }
}

function endOfHeader(bytes: Buffer, start: number): number {
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\n", at);
    if (lineEnd < 0) return bytes.length;
    at = lineEnd + 1;
    if (bytes[at] !== 0x20 && bytes[at] !== 0x09) return at;
  }
}
