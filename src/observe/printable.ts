/**
 * Everything that could end a line, move a terminal's cursor or hide text: C0, DEL, C1, U+2028 and U+2029,
 * format characters such as U+202E, lone surrogates, and code points that mean nothing yet.
 */
const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** True for the plain text nearly every line is, which then needs no second look. */
const PLAIN = /^[\x20-\x7e]*$/;

/** Text from a peer as a text log may show it: what cannot be printed becomes `?`, as in Postfix's printable(). */
export function printable(text: string): string {
  return PLAIN.test(text) ? text : text.replace(NOT_PRINTABLE, "?");
}

/** JSON on one line, with `\u` escapes for all that `printable` would replace: nothing is lost, nothing is raw. */
export function printableJson(value: unknown): string {
  const json = JSON.stringify(value);
  return PLAIN.test(json) ? json : json.replace(NOT_PRINTABLE, escapeUtf16);
}

function escapeUtf16(character: string): string {
  let escaped = "";
  for (let at = 0; at < character.length; at++)
    escaped += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  return escaped;
}
