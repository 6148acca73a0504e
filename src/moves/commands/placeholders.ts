import { didYouMean } from "../../core/closest-name.ts";
import { ActFailed } from "../tools.ts";

const SIDES = ["from", "to"] as const;
const OF_A_SIDE = [
  "name",
  "imap",
  "imap.host",
  "imap.port",
  "imap.tls",
  "master_user",
  "master_login",
  "password_file",
] as const;

type Side = (typeof SIDES)[number];

export type Placeholder = "user" | "login" | "move" | "scratch" | "state" | `${Side}.${(typeof OF_A_SIDE)[number]}`;

export const PLACEHOLDERS: readonly Placeholder[] = [
  "user",
  "login",
  "move",
  "scratch",
  "state",
  ...SIDES.flatMap((side) => OF_A_SIDE.map((name) => `${side}.${name}` as const)),
];

/** Undefined where a backend's configuration does not say. */
export type PlaceholderValues = Readonly<Record<Placeholder, string | undefined>>;

const PATTERN = /\{([a-z][a-z_.]*)\}/g;

/** @returns what is wrong with a template; undefined: nothing */
export function describeTemplateFault(template: string, known: readonly string[] = PLACEHOLDERS): string | undefined {
  for (const [, name = ""] of template.matchAll(PATTERN))
    if (!known.includes(name)) return `there is no placeholder "{${name}}"${didYouMean(name, known)}`;
  return undefined;
}

export const namesIn = (template: string): readonly string[] =>
  [...template.matchAll(PATTERN)].map(([, name = ""]) => name);

/** @throws ActFailed for a value that is not configured */
export function substitute(template: string, values: PlaceholderValues): string {
  return template.replaceAll(PATTERN, (_, name: string) => {
    const value = values[name as Placeholder];
    if (value === undefined) throw new ActFailed(`{${name}} has no value: configure it for the backend`);
    return value;
  });
}

/**
 * One word of a command. No shell ever sees it, but the command may take one that begins with a dash for an option: what
 * comes from outside must not begin a word so.
 * @throws ActFailed
 */
export function substituteWord(template: string, values: PlaceholderValues): string {
  const word = substitute(template, values);
  if (word.startsWith("-") && !template.startsWith("-"))
    throw new ActFailed(`"${word}" would be taken for an option by ${template}`);
  if (word.includes("\0")) throw new ActFailed("a word of a command cannot have a NUL character");
  return word;
}
