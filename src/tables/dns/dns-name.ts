import { domainToASCII } from "node:url";

/** Longest name in text, without the root's dot. Source: RFC 1035, section 2.3.4. */
const MAX_NAME_CHARACTERS = 253;

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A domain name as it is asked for: lower-case, in ASCII, without the root's dot. Underscores are taken, since there are
 * such names; an address in the place of a name is not.
 * @returns undefined for what is no name
 */
export function toDnsName(given: string): string | undefined {
  // What is not ASCII may hold any character of another script, but no delimiter that would end a host in a URL.
  const isAscii = /^[!-~]*$/.test(given);
  const ascii = isAscii
    ? given
    : /^[^\0-,/:-@[-^`{-\x9f]+$/.test(given) && given.isWellFormed()
      ? domainToASCII(given)
      : "";
  const name = normalName(ascii);
  const labels = name.split(".");
  if (name.length > MAX_NAME_CHARACTERS || !labels.every((label) => LABEL.test(label))) return undefined;
  return /^\d+$/.test(labels.at(-1) ?? "") ? undefined : name;
}

/** As two spellings of one name are compared. */
export const normalName = (name: string): string => name.toLowerCase().replace(/\.$/, "");
