const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * JSON text without the whitespace that means nothing. The rest stays as it came: numbers too long for a double, and
 * escapes, would not survive `JSON.parse` and `JSON.stringify`.
 * @param json must be valid
 */
export function compactJson(json: string): string {
  let compact = "";
  let from = 0;
  let at = 0;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(json, at);
    else {
      at += 1;
      if (!isBlank(unit)) continue;
      compact += json.slice(from, at - 1);
      from = at;
    }
  }
  return from === 0 ? json : compact + json.slice(from);
}

/**
 * The members of an object, each value as its own text.
 * @param object valid JSON of an object, compact
 */
export function membersOf(object: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = 1;
  while (object.charCodeAt(at) === QUOTE) {
    const nameEnd = endOfString(object, at);
    const valueEnd = endOfValue(object, nameEnd + 1);
    members.set(JSON.parse(object.slice(at, nameEnd)) as string, object.slice(nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  return members;
}

/** @returns where the comma or bracket stands that follows the value */
function endOfValue(json: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < json.length) {
    const character = json.charAt(at);
    if (character === '"') {
      at = endOfString(json, at);
      continue;
    }
    if (depth === 0 && (character === "," || character === "}")) return at;
    if (character === "{" || character === "[") depth += 1;
    if (character === "}" || character === "]") depth -= 1;
    at += 1;
  }
  return at;
}

/** @param start where its first quote stands */
function endOfString(json: string, start: number): number {
  let quote = json.indexOf('"', start + 1);
  while (quote !== -1 && isEscaped(json, quote)) quote = json.indexOf('"', quote + 1);
  return quote === -1 ? json.length : quote + 1;
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

/** Source: RFC 8259, section 2. */
const isBlank = (unit: number): boolean => unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09;
