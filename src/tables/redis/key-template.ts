import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { encodeText } from "../../wire/text.ts";

/** What stands around the table's key in Redis's own. */
export interface KeyTemplate {
  readonly before: string;
  readonly after: string;
}

export function parseKeyTemplate(given: string): Parsed<KeyTemplate> {
  const [before = "", after, ...others] = given.split("{}");
  if (after === undefined) return bad(`"{}" must stand where the key belongs, such as in "mail:{}"`);
  return others.length === 0 ? ok({ before, after }) : bad('"{}" must stand in it once');
}

/** As a command's argument: bytes where it is no UTF-8. */
export const toArgument = (text: string): string | Buffer => (text.isWellFormed() ? text : encodeText(text));

export const fillTemplate = ({ before, after }: KeyTemplate, key: string): string | Buffer =>
  toArgument(`${before}${key}${after}`);

/** The table's key of one of Redis's; undefined where it is none of this table's. */
export function keyIn({ before, after }: KeyTemplate, full: string): string | undefined {
  const isOurs = full.length >= before.length + after.length && full.startsWith(before) && full.endsWith(after);
  return isOurs ? full.slice(before.length, full.length - after.length) : undefined;
}

/** A pattern for MATCH. Source: stringmatchlen of Redis's util.c. */
export const patternFor = ({ before, after }: KeyTemplate, prefix: string): string | Buffer =>
  toArgument(`${escapeGlob(`${before}${prefix}`)}*${escapeGlob(after)}`);

const escapeGlob = (text: string): string => text.replaceAll(/[\\*?[\]]/g, "\\$&");
