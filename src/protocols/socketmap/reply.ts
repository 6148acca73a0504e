import { unreachable } from "../../core/unreachable.ts";
import { encodeNetstringAsLatin1 } from "../../wire/netstring.ts";
import { plainReason } from "../../wire/text-reason.ts";
import { decodeText, encodeTextAsLatin1 } from "../../wire/text.ts";

/** Longest socketmap reply, in bytes, framing excluded. Source: socketmap_table(5), socketmap_max_reply_size. */
export const MAX_REPLY_BYTES = 100_000;

/** What a table answers, in the shape it does. */
export type SocketmapAnswer =
  | { readonly kind: "found"; readonly value: string }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

const ABSENT: SocketmapAnswer = { kind: "absent" };
const FOUND = "OK ";
const NOTFOUND = encodeNetstringAsLatin1("NOTFOUND ");

/**
 * One character a byte. A value that Postfix would not read becomes TEMP, never a part of it.
 * An empty value stays: it is a fault of the configuration in a map, but a match in a list of domains.
 */
export function encodeReply(answer: SocketmapAnswer): string {
  switch (answer.kind) {
    case "found": {
      const value = encodeTextAsLatin1(answer.value);
      const bytes = FOUND.length + value.length;
      if (bytes <= MAX_REPLY_BYTES) return `${bytes}:${FOUND}${value},`;
      return encodeTemp(`answer of ${bytes} bytes, more than the ${MAX_REPLY_BYTES} that Postfix reads`);
    }
    case "absent":
      return NOTFOUND;
    case "failed":
      return encodeTemp(answer.reason);
    default:
      return unreachable(answer);
  }
}

/** What another server's reply means. Whatever is not a clear answer is a failure: absent may bounce mail. */
export function decodeReply(payload: Buffer): SocketmapAnswer {
  const reply = decodeText(payload);
  const space = reply.indexOf(" ");
  const status = space === -1 ? reply : reply.slice(0, space);
  const text = space === -1 ? "" : reply.slice(space + 1);
  switch (status) {
    case "OK":
      return { kind: "found", value: text };
    case "NOTFOUND":
      return ABSENT;
    case "TEMP":
    case "TIMEOUT":
    case "PERM":
      return { kind: "failed", reason: plainReason(`the server answered ${reply.trimEnd()}`) };
    default:
      return {
        kind: "failed",
        reason: plainReason(`the server's answer makes no sense: ${JSON.stringify(reply.slice(0, 80))}`),
      };
  }
}

function encodeTemp(reason: string): string {
  return encodeNetstringAsLatin1(`TEMP ${plainReason(reason)}`);
}
