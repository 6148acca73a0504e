import { splitFields } from "../../wire/tab-fields.ts";

export interface Hello {
  readonly kind: "hello";
  /** 2: Dovecot 2.2 to 2.3.16, 3: 2.3.17 to 2.3.21, 4: 2.4. */
  readonly major: number;
  readonly minor: number;
  /** 0: strings, 1: 32-bit numbers (major 2 and 3). It changes nothing for a server. */
  readonly valueType: number;
  /** Whose `priv/` keys are meant, in major 2; empty in others, whose commands carry a user each. */
  readonly user: string;
  readonly dictName: string;
}

/**
 * One line of a client. `user` is empty where there is none. `id` is a transaction of this connection.
 * Source: Dovecot, src/lib-dict/dict-client.h and src/dict/dict-commands.c of 2.2, 2.3 and 2.4.
 */
export type DictCommand =
  | Hello
  | { readonly kind: "lookup"; readonly key: string; readonly user: string }
  | {
      readonly kind: "iterate";
      /** Bits: see iteration.ts. */
      readonly flags: number;
      /** 0: all. */
      readonly maxRows: number;
      /** At least one; major 2 may send several. */
      readonly paths: readonly string[];
      readonly user: string;
    }
  /** `expireSeconds` 0: never. */
  | { readonly kind: "begin"; readonly id: number; readonly user: string; readonly expireSeconds: number }
  | { readonly kind: "set"; readonly id: number; readonly key: string; readonly value: string }
  | { readonly kind: "unset"; readonly id: number; readonly key: string }
  | { readonly kind: "increment"; readonly id: number; readonly key: string; readonly by: bigint }
  /** Dovecot 2.2 alone. */
  | { readonly kind: "append"; readonly id: number; readonly key: string; readonly value: string }
  | { readonly kind: "timestamp"; readonly id: number; readonly seconds: number; readonly nanoseconds: number }
  | { readonly kind: "hide-log-values"; readonly id: number; readonly isHiding: boolean }
  | { readonly kind: "commit"; readonly id: number; readonly isAsync: boolean }
  | { readonly kind: "rollback"; readonly id: number }
  /** Answer what came before it, then close. */
  | { readonly kind: "malformed"; readonly reason: string };

const MAX_UINT32 = 0xffff_ffff;
const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);

/** The first line of a connection. */
export function parseHello(line: string): DictCommand {
  if (!line.startsWith("H")) return malformed("a command before the handshake");
  const raw = line.slice(1).split("\t");
  const major = parseUint32(raw[0]);
  // Major 2 writes user and name as they are; escaping came with 2.3.17 (major 3).
  const fields = major !== undefined && major <= 2 ? raw : splitFields(line.slice(1));
  const minor = parseUint32(fields[1]);
  const valueType = parseUint32(fields[2]);
  const user = fields[3];
  const dictName = fields[4];
  if (major === undefined || minor === undefined || valueType === undefined) return malformed("broken handshake");
  if (user === undefined || dictName === undefined) return malformed("broken handshake");
  return { kind: "hello", major, minor, valueType, user, dictName };
}

/** A line after the handshake. Fields that newer clients may add at the end are ignored, and a missing user is none. */
export function parseCommand(line: string, hello: Hello): DictCommand {
  const fields = splitFields(line.slice(1));
  switch (line.charAt(0)) {
    case "L":
      return { kind: "lookup", key: fields[0] ?? "", user: userOf(fields[1], hello) };
    case "I":
      return parseIterate(fields, hello);
    case "B":
      return parseBegin(fields, hello);
    case "H":
      return malformed("a second handshake");
    default:
      return parseTransactionCommand(line.charAt(0), fields);
  }
}

function parseIterate(fields: readonly string[], hello: Hello): DictCommand {
  const flags = parseUint32(fields[0]);
  if (flags === undefined) return malformed("ITERATE without flags");
  let maxRows = parseUint64(fields[1]);
  let from = 2;
  if (maxRows === undefined) {
    // The first releases of 2.2 send no limit: the paths follow the flags.
    if (hello.major > 2) return malformed("ITERATE without a limit");
    maxRows = 0;
    from = 1;
  }
  const paths = hello.major <= 2 ? fields.slice(from) : fields.slice(from, from + 1);
  if (paths.length === 0) return malformed("ITERATE without a path");
  return { kind: "iterate", flags, maxRows, paths, user: userOf(fields[from + 1], hello) };
}

function parseBegin(fields: readonly string[], hello: Hello): DictCommand {
  const id = parseUint32(fields[0]);
  if (id === undefined) return malformed("BEGIN without a transaction id");
  const expireSeconds = hello.major >= 4 ? parseUint32(fields[2] ?? "0") : 0;
  if (expireSeconds === undefined) return malformed("BEGIN with a broken expiry");
  return { kind: "begin", id, user: userOf(fields[1], hello), expireSeconds };
}

/** The user of a command that has a field for it, which in major 2 none has. */
function userOf(field: string | undefined, hello: Hello): string {
  return hello.major <= 2 ? hello.user : (field ?? hello.user);
}

function parseTransactionCommand(letter: string, fields: readonly string[]): DictCommand {
  const id = parseUint32(fields[0]);
  const [, first, second] = fields;
  switch (letter) {
    case "S":
    case "P":
      if (id === undefined || first === undefined || second === undefined) break;
      return { kind: letter === "S" ? "set" : "append", id, key: first, value: second };
    case "U":
      if (id === undefined || first === undefined) break;
      return { kind: "unset", id, key: first };
    case "A": {
      const by = parseInt64(second);
      if (id === undefined || first === undefined || by === undefined) break;
      return { kind: "increment", id, key: first, by };
    }
    case "T": {
      const seconds = parseInt64(first);
      const nanoseconds = parseUint32(second);
      if (id === undefined || seconds === undefined || nanoseconds === undefined) break;
      return { kind: "timestamp", id, seconds: Number(seconds), nanoseconds };
    }
    case "V":
      if (id === undefined || (first !== "yes" && first !== "no")) break;
      return { kind: "hide-log-values", id, isHiding: first === "yes" };
    case "C":
    case "D":
      if (id === undefined) break;
      return { kind: "commit", id, isAsync: letter === "D" };
    case "R":
      if (id === undefined) break;
      return { kind: "rollback", id };
    default:
      return malformed(letter === "" ? "an empty line" : `unknown command ${JSON.stringify(letter)}`);
  }
  return malformed(`broken command ${letter}`);
}

function parseUint32(field: string | undefined): number | undefined {
  const value = parseUint64(field);
  return value === undefined || value > MAX_UINT32 ? undefined : value;
}

/** Exact up to 2^53: beyond, only its size counts. */
function parseUint64(field: string | undefined): number | undefined {
  return field !== undefined && /^\d{1,20}$/.test(field) ? Number(field) : undefined;
}

function parseInt64(field: string | undefined): bigint | undefined {
  if (field === undefined || !/^-?\d{1,19}$/.test(field)) return undefined;
  const value = BigInt(field);
  return value > MAX_INT64 || value < MIN_INT64 ? undefined : value;
}

function malformed(reason: string): DictCommand {
  return { kind: "malformed", reason };
}
