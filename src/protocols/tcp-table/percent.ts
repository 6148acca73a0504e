import { decodeText, encodeText } from "../../wire/text.ts";

/** Printable ASCII but for the blank and `%`: what Postfix's hex_quote() leaves as it is. */
const NEEDS_NO_ENCODING = /^[!-$&-~]*$/;
const BROKEN = /%(?![0-9A-Fa-f]{2})/;
const PERCENT = 0x25;

const ENCODED = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return NEEDS_NO_ENCODING.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});

export function encodePercent(text: string): string {
  if (NEEDS_NO_ENCODING.test(text)) return text;
  let encoded = "";
  for (const byte of encodeText(text)) encoded += ENCODED[byte] ?? "";
  return encoded;
}

/** Undefined where a `%` is not followed by two hexadecimal digits. */
export function decodePercent(encoded: string): string | undefined {
  if (!encoded.includes("%")) return encoded;
  if (BROKEN.test(encoded)) return undefined;
  const bytes = encodeText(encoded);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    bytes[length] = byte === PERCENT ? Number.parseInt(bytes.toString("latin1", at + 1, at + 3), 16) : byte;
    if (byte === PERCENT) at += 2;
    length += 1;
  }
  return decodeText(bytes, 0, length);
}
