import { unreachable } from "../../core/unreachable.ts";
import { encodeNetstring } from "../../wire/netstring.ts";
import { plainReason } from "../../wire/text-reason.ts";
import { decodeText, encodeText } from "../../wire/text.ts";

/** Longest socketmap reply, in bytes, framing excluded. Source: socketmap_table(5), socketmap_max_reply_size. */
export const MAX_REPLY_BYTES = 100_000;

/** What a table answers, in the shape it does. */
export type SocketmapAnswer =
  | { readonly kind: "found"; readonly value: string }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

const ABSENT: SocketmapAnswer = { kind: "absent" };
const NOTFOUND = encodeNetstring("NOTFOUND ");
/** A UTF-16 unit needs three bytes at the most. */
const SURELY_SHORT_UNITS = Math.floor(MAX_REPLY_BYTES / 3);

/**
 * A value that Postfix would not read becomes TEMP, never a part of it.
 * An empty value stays: it is a fault of the configuration in a map, but a match in a list of domains.
 */
export function encodeReply(answer: SocketmapAnswer): Buffer {
  switch (answer.kind) {
    case "found": {
      const reply = `OK ${answer.value}`;
      if (reply.length <= SURELY_SHORT_UNITS) return encodeNetstring(reply);
      const bytes = encodeText(reply);
      if (bytes.length <= MAX_REPLY_BYTES) return encodeNetstring(bytes);
      return encodeTemp(`answer of ${bytes.length} bytes, more than the ${MAX_REPLY_BYTES} that Postfix reads`);
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

function encodeTemp(reason: string): Buffer {
  return encodeNetstring(`TEMP ${plainReason(reason)}`);
}
