/** Keys from `first` on, before `end`, in the byte order of UTF-8: an empty blob comes after every text. */
export interface TextRange {
  readonly first: string;
  readonly end: string | Uint8Array;
}

const AFTER_ALL_TEXT = new Uint8Array();

/** @param after the last key of the page before, if there was one */
export function rangeOf(prefix: string, after: string | undefined): TextRange {
  // No key has a NUL, so nothing stands between a key and this.
  const next = after === undefined ? "" : `${after}\0`;
  const isInRange = Buffer.compare(Buffer.from(next), Buffer.from(prefix)) > 0;
  return { first: isInRange ? next : prefix, end: endOf(prefix) };
}

/** The first text after all that begin with the prefix. */
function endOf(prefix: string): string | Uint8Array {
  const characters = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (characters.at(-1) === 0x10ffff) characters.pop();
  const last = characters.pop();
  if (last === undefined) return AFTER_ALL_TEXT;
  // The code points of surrogates are no characters.
  return String.fromCodePoint(...characters, last === 0xd7ff ? 0xe000 : last + 1);
}
