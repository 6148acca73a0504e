import { isIP } from "node:net";
import * as v from "valibot";
import { closestName } from "./closest-name.ts";
import { parseEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { describeRaw, scalarShape } from "./option-schema.ts";
import type { OptionSchema } from "./option-schema.ts";
import { bad, formatDuration, formatSize, ok, parseDuration, parseSize } from "./units.ts";
import type { Parsed } from "./units.ts";

/** An option that is one scalar. */
export function scalar<Value>(typeText: string, parse: (text: string) => Parsed<Value>): OptionSchema<Value> {
  return v.pipe(
    v.unknown(),
    scalarShape(typeText),
    v.rawTransform(({ dataset, addIssue, NEVER }): Value => {
      const raw: unknown = dataset.value;
      if (typeof raw !== "string") {
        addIssue({ message: raw === null ? "there is no value" : `expected ${typeText}, got ${describeRaw(raw)}` });
        return NEVER;
      }
      const parsed = parse(raw);
      if (parsed.kind === "ok") return parsed.value;
      addIssue({ message: parsed.reason });
      return NEVER;
    }),
  );
}

export const text = (typeText = "text"): OptionSchema<string> =>
  scalar(typeText, (given) => (given === "" ? bad("the value is empty") : ok(given)));

export const duration = (minMs = 1): OptionSchema<number> =>
  scalar("a duration", (given) => {
    const parsed = parseDuration(given);
    if (parsed.kind === "ok" && parsed.value < minMs) return bad(`must be at least ${formatDuration(minMs)}`);
    return parsed;
  });

export interface SizeLimits {
  readonly minBytes: number;
  readonly maxBytes: number;
}

export const size = ({ minBytes, maxBytes }: SizeLimits): OptionSchema<number> =>
  scalar(`a size, ${formatSize(minBytes)} to ${formatSize(maxBytes)}`, (given) => checkSize(given, minBytes, maxBytes));

/** A size, or the word `unlimited`, which is undefined. */
export const sizeOrUnlimited = (minBytes: number): OptionSchema<number | undefined> =>
  scalar<number | undefined>(`a size from ${formatSize(minBytes)} on, or \`unlimited\``, (given) =>
    given === "unlimited" ? ok(undefined) : checkSize(given, minBytes, Number.MAX_SAFE_INTEGER),
  );

function checkSize(given: string, minBytes: number, maxBytes: number): Parsed<number> {
  const parsed = parseSize(given, minBytes < 1_000_000 && maxBytes < 1_000_000_000 ? "KiB" : "MB");
  if (parsed.kind === "bad") return parsed;
  if (parsed.value < minBytes) return bad(`must be at least ${formatSize(minBytes)}`);
  if (parsed.value > maxBytes) return bad(`must be at most ${formatSize(maxBytes)}`);
  return parsed;
}

export const count = (min: number, max: number): OptionSchema<number> =>
  scalar(`a whole number, ${min} to ${max}`, (given) => {
    if (!/^\d{1,15}$/.test(given)) return bad(`expected a whole number from ${min} to ${max}, got "${given}"`);
    const number = Number(given);
    return number < min || number > max ? bad(`must be from ${min} to ${max}, is ${given}`) : ok(number);
  });

export function choice<const Word extends string>(words: readonly Word[]): OptionSchema<Word> {
  return scalar(words.map((word) => `\`${word}\``).join(words.length > 2 ? ", " : " or "), (given) => {
    const word = words.find((candidate) => candidate === given);
    if (word !== undefined) return ok(word);
    const likely = closestName(given, words);
    const hint = likely === undefined ? "" : `; did you mean "${likely}"?`;
    return bad(`expected ${words.join(" or ")}, got "${given}"${hint}`);
  });
}

const TRUE_WORDS: ReadonlySet<string> = new Set(["true", "yes", "on"]);
const FALSE_WORDS: ReadonlySet<string> = new Set(["false", "no", "off"]);

export const flag = (): OptionSchema<boolean> =>
  scalar("`true` or `false`", (given) => {
    const word = given.toLowerCase();
    if (TRUE_WORDS.has(word)) return ok(true);
    return FALSE_WORDS.has(word) ? ok(false) : bad(`expected true or false, got "${given}"`);
  });

/** To listen on: for port 0 the system chooses one. */
export const address = (): OptionSchema<Endpoint> => addressFrom(0);

/** To connect to. */
export const remoteAddress = (): OptionSchema<Endpoint> => addressFrom(1);

const addressFrom = (minPort: 0 | 1): OptionSchema<Endpoint> =>
  scalar("an address", (given) => {
    const parsed = parseEndpoint(given);
    if (parsed.kind === "bad") return bad(parsed.reason);
    const { endpoint } = parsed;
    return endpoint.kind === "tcp" && endpoint.port < minPort
      ? bad(`a port is at least ${minPort}: "${given}"`)
      : ok(endpoint);
  });

export const absolutePath = (): OptionSchema<string> =>
  scalar("an absolute path", (given) =>
    given.startsWith("/") ? ok(given) : bad(`expected an absolute path, got "${given}"`),
  );

/** Octal however it is written: YAML's own idea of `0660` differs between its versions. */
export const permissions = (): OptionSchema<number> => scalar("octal permissions", parsePermissions);

export function parsePermissions(given: string): Parsed<number> {
  const match = /^(?:0o?)?([0-7]{3})$/.exec(given);
  if (match === null) return bad(`expected octal permissions such as 0660, got "${given}"`);
  return ok(Number.parseInt(match[1] ?? "", 8));
}

export const network = (): OptionSchema<string> =>
  scalar("a network", (given) => {
    const [host = "", prefix, ...rest] = given.split("/");
    const family = isIP(host);
    const longest = family === 6 ? 128 : 32;
    const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= longest);
    if (family === 0 || !isPrefix || rest.length > 0 || host.includes("%"))
      return bad(`expected a network such as 10.0.0.0/8 or fd00::/8, got "${given}"`);
    return ok(prefix === undefined ? `${host}/${longest}` : given);
  });

/** Characters of which each begins an extension, or none. */
export const recipientDelimiter = (): OptionSchema<string> => scalar("text", parseDelimiter);

export function parseDelimiter(given: string): Parsed<string> {
  if (!/[\p{L}\p{N}\p{Cc}\s@".]/u.test(given)) return ok(given);
  return bad(
    'a recipient delimiter is one or more characters such as "+", but no letter, digit, blank, "@", "." or quote',
  );
}
