/** Attributes by upper-case name, values decoded. Source: Postfix XFORWARD_README. */
export type XforwardAttributes = ReadonlyMap<string, string>;

export const XFORWARD_NAMES = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"] as const;

/** Longest value and longest command line, in bytes, CR LF included. Source: Postfix XFORWARD_README. */
const MAX_VALUE_BYTES = 255;
const MAX_LINE_BYTES = 512;

/** Reads `NAME=value …`; undefined where it breaks the rules. */
export function parseXforward(text: string): XforwardAttributes | undefined {
  const attributes = new Map<string, string>();
  for (const word of text.split(" ")) {
    if (word === "") continue;
    const equals = word.indexOf("=");
    const name = word.slice(0, equals).toUpperCase();
    const value = decodeXtext(word.slice(equals + 1));
    if (equals === -1 || !(XFORWARD_NAMES as readonly string[]).includes(name)) return undefined;
    if (value === undefined || value.length > MAX_VALUE_BYTES || /[^\x21-\x7e]/.test(value)) return undefined;
    attributes.set(name, value);
  }
  return attributes.size === 0 ? undefined : attributes;
}

/** The command lines, with line ends, that hand on those attributes that the server announced. */
export function encodeXforward(attributes: XforwardAttributes, announced: ReadonlySet<string>): string[] {
  const lines: string[] = [];
  let line = "XFORWARD";
  for (const [name, value] of attributes) {
    if (!announced.has(name)) continue;
    const word = ` ${name}=${encodeXtext(value)}`;
    if (line.length + word.length + 2 > MAX_LINE_BYTES) {
      lines.push(`${line}\r\n`);
      line = "XFORWARD";
    }
    line += word;
  }
  if (line !== "XFORWARD") lines.push(`${line}\r\n`);
  return lines;
}

/** RFC 3461 section 4: printable bytes but `+` and `=` stand for themselves, others are `+HH`. */
function encodeXtext(text: string): string {
  return text.replace(
    /[^\x21-\x2a\x2c-\x3c\x3e-\x7e]/g,
    (char) => `+${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

function decodeXtext(text: string): string | undefined {
  if (/\+(?![0-9A-Fa-f]{2})/.test(text)) return undefined;
  return text.replace(/\+([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
