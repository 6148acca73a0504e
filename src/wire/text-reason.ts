/** What Postfix logs of a reason at most (dict_sockmap.c); Dovecot has no limit. */
export const MAX_REASON_BYTES = 200;

/** Everything that could end a line or move a terminal's cursor, and lone surrogates. */
const NOT_PLAIN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Our reason for a failure as another program may log it: on one line, plain, and no longer than is read. */
export function plainReason(reason: string): string {
  // Cut first, so that a reason of megabytes costs nothing; half a character is then a lone surrogate.
  const plain = reason.slice(0, MAX_REASON_BYTES).replace(NOT_PLAIN, " ");
  const bytes = Buffer.from(plain);
  if (bytes.length <= MAX_REASON_BYTES) return plain;
  let end = MAX_REASON_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end);
}
