import { isUtf8 } from "node:buffer";

/** Where the 128 lone surrogates begin that stand for single bytes: byte 0x80 is U+DC80, as in Python's "surrogateescape". */
const BYTE_SURROGATES = 0xdc00;

/** Stands in our decoder's output for bytes that are no UTF-8, and is itself a character that may come. */
const REPLACEMENT = "\ufffd";

/**
 * Text from the wire. Bytes that are no UTF-8 become lone surrogates, U+DC80 for 0x80 to U+DCFF for 0xff,
 * which `encodeText` turns back: whatever came can be looked up, compared and given out as it was.
 */
export function decodeText(bytes: Buffer, start = 0, end = bytes.length): string {
  const text = bytes.toString("utf8", start, end);
  // Nearly always without: then nothing was replaced, and no view is needed for a second look.
  if (!text.includes(REPLACEMENT)) return text;
  return isUtf8(bytes.subarray(start, end)) ? text : decodeWithSurrogates(bytes, start, end);
}

/** Text for the wire. A lone surrogate that stands for no byte becomes U+FFFD, since UTF-8 cannot say it. */
export function encodeText(text: string): Buffer {
  return text.isWellFormed() ? Buffer.from(text) : encodeSurrogates(text);
}

/** As `encodeText`, one character a byte: how small replies are written fastest. Nearly always the text itself. */
export function encodeTextAsLatin1(text: string): string {
  // Whatever is no ASCII needs two bytes at least.
  return Buffer.byteLength(text) === text.length ? text : encodeText(text).toString("latin1");
}

/** In one pass over UTF-16 units: to join a million pieces of text would hold everyone up for a quarter of a second. */
function decodeWithSurrogates(bytes: Buffer, start: number, end: number): string {
  const units = Buffer.allocUnsafe(2 * (end - start));
  let length = 0;
  let at = start;
  while (at < end) {
    const sequence = sequenceLength(bytes, at, end);
    if (sequence === 0) {
      length = units.writeUInt16LE(BYTE_SURROGATES + (bytes[at] ?? 0), length);
      at += 1;
      continue;
    }
    const point = codePoint(bytes, at, sequence);
    if (point > 0xffff) length = units.writeUInt16LE(0xd7c0 + (point >> 10), length);
    length = units.writeUInt16LE(point > 0xffff ? 0xdc00 + (point & 0x3ff) : point, length);
    at += sequence;
  }
  return units.toString("utf16le", 0, length);
}

function codePoint(bytes: Buffer, at: number, length: 1 | 2 | 3 | 4): number {
  const lead = bytes[at] ?? 0;
  let point = length === 1 ? lead : lead & (0x7f >> length);
  for (let next = at + 1; next < at + length; next += 1) point = (point << 6) | ((bytes[next] ?? 0) & 0x3f);
  return point;
}

/** Length of the UTF-8 sequence at `at`, 0 where there is none. Unicode 16, table 3-7: no overlong form, no surrogate. */
function sequenceLength(bytes: Buffer, at: number, end: number): 0 | 1 | 2 | 3 | 4 {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + length > end) return 0;
  const second = bytes[at + 1] ?? 0;
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let next = at + 2; next < at + length; next += 1) if (((bytes[next] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}

function encodeSurrogates(text: string): Buffer {
  const bytes = Buffer.allocUnsafe(3 * text.length);
  let length = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if ((unit & 0xf800) !== 0xd800) continue;
    if (unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) {
      at += 1;
      continue;
    }
    if (unit < 0xdc80 || unit > 0xdcff) continue; // write() makes it U+FFFD
    if (from < at) length += bytes.write(text.slice(from, at), length);
    bytes[length] = unit - BYTE_SURROGATES;
    length += 1;
    from = at + 1;
  }
  if (from < text.length) length += bytes.write(text.slice(from), length);
  return bytes.subarray(0, length);
}
