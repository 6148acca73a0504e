/** Text that YAML of every version takes for text, or that we do: numbers and words such as `no` are text to us. */
const PLAIN = /^[\p{L}\p{N}_/][\p{L}\p{N}_.@+=/-]*$/u;

/** Words that another YAML reader of the file would not take for text. */
const OTHER_MEANING = /^(?:y|n|yes|no|on|off|true|false|null|[\d.+-].*)$/i;

/** A scalar that reads back as this text, on one line. */
export function quoteScalar(text: string): string {
  if (PLAIN.test(text) && !OTHER_MEANING.test(text)) return text;
  // JSON's strings are YAML's double-quoted scalars, but for control characters that JSON leaves as they are.
  return JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
