import { decodeText, encodeText } from "../../wire/text.ts";
import type { Placeholder, Statement } from "./query.ts";

/** What drivers are given: bytes where a text is no UTF-8. */
export type SqlParameter = string | Buffer | bigint | null;

export type SqlInputs = Partial<Readonly<Record<Placeholder, SqlParameter>>>;

/** One row as texts; NULL is null. */
export type SqlRow = readonly (string | null)[];

/** A key without `@` is its own local part and its own domain, as in templates of values. */
export function keyInputs(key: string): SqlInputs {
  const at = key.lastIndexOf("@");
  return {
    key: textParameter(key),
    localpart: textParameter(at === -1 ? key : key.slice(0, at)),
    domain: textParameter(key.slice(at + 1)),
  };
}

/** Bytes that are no UTF-8 go as bytes; a column of text takes them as such or refuses them. */
export const textParameter = (text: string): SqlParameter => (text.isWellFormed() ? text : encodeText(text));

/** @throws Error where a query uses what it was not given, which is our fault */
export function fillIn({ parameters }: Statement, inputs: SqlInputs): SqlParameter[] {
  return parameters.map((name) => {
    const value = inputs[name];
    if (value === undefined) throw new Error(`:${name} has no value`);
    return value;
  });
}

/** A column's value as a driver gives it. Never a Date: drivers are told to leave those as text. */
export function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return decodeText(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  return typeof value === "number" || typeof value === "bigint" ? String(value) : JSON.stringify(value);
}
