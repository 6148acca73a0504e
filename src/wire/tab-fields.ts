import { decodeText, encodeText } from "./text.ts";

const ESCAPE = "\u0001";

/** Dovecot's tabescape: what stands after 0x01 for each byte that a field may not hold. Source: strescape.c. */
const ESCAPES = new Map([
  ["\u0000", "0"],
  [ESCAPE, "1"],
  ["\t", "t"],
  ["\r", "r"],
  ["\n", "n"],
]);
const UNESCAPES = new Map([...ESCAPES].map(([raw, letter]) => [letter, raw]));
const RAW = new RegExp(`[${[...ESCAPES.keys()].join("")}]`);
const EVERY_RAW = new RegExp(RAW, "g");

export function escapeField(text: string): string {
  return RAW.test(text) ? text.replace(EVERY_RAW, (raw) => ESCAPE + (ESCAPES.get(raw) ?? raw)) : text;
}

/** 0x01 and a letter that means nothing is that letter; a 0x01 at the end is dropped. */
export function unescapeField(field: string): string {
  let escape = field.indexOf(ESCAPE);
  if (escape === -1) return field;
  let text = "";
  let from = 0;
  while (escape !== -1) {
    const letter = field.charAt(escape + 1);
    text += field.slice(from, escape) + (UNESCAPES.get(letter) ?? letter);
    from = escape + 2;
    escape = field.indexOf(ESCAPE, from);
  }
  text += field.slice(from);
  // A 0x01 within a UTF-8 character cut it into bytes, which are the character again once it is gone.
  return text.isWellFormed() ? text : decodeText(encodeText(text));
}

/** The fields of a line, its end taken off. Cut first, then unescaped. */
export function splitFields(line: string): string[] {
  const fields = line.split("\t");
  return line.includes(ESCAPE) ? fields.map(unescapeField) : fields;
}

/** Several values in one field: escaped each, joined by TAB, and escaped again. */
export function joinValues(values: readonly string[]): string {
  return escapeField(values.map(escapeField).join("\t"));
}
