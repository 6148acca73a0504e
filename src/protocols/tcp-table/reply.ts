import { unreachable } from "../../core/unreachable.ts";
import { plainReason } from "../../wire/text-reason.ts";
import { encodePercent } from "./percent.ts";

/** Longest reply line, in bytes, its end included. Source: tcp_table(5), DICT_TCP_MAXLEN. */
export const MAX_REPLY_BYTES = 4096;

/** What a table answers, in the shape it does. */
export type TcpTableAnswer =
  | { readonly kind: "found"; readonly value: string }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

/** In tcp_table, 500 means that there is no such key, and nothing worse. */
const NOT_FOUND = "500 not%20found\n";
export const NOT_SUPPORTED = encodeTemporaryError("put is not supported");

/** In ASCII. A value that Postfix would not read becomes 400, never a part of it. */
export function encodeReply(answer: TcpTableAnswer): string {
  switch (answer.kind) {
    case "found": {
      const line = `200 ${encodePercent(answer.value)}\n`;
      if (line.length <= MAX_REPLY_BYTES) return line;
      return encodeTemporaryError(
        `answer of ${line.length} bytes, more than the ${MAX_REPLY_BYTES} that Postfix reads`,
      );
    }
    case "absent":
      return NOT_FOUND;
    case "failed":
      return encodeTemporaryError(answer.reason);
    default:
      return unreachable(answer);
  }
}

function encodeTemporaryError(reason: string): string {
  return `400 ${encodePercent(plainReason(reason))}\n`;
}
