import * as v from "valibot";
import { describeRaw, scalarShape } from "./option-schema.ts";
import type { OptionSchema } from "./option-schema.ts";

/** Where a secret stands; read when the configuration is loaded. */
export type SecretSource =
  | { readonly kind: "inline"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "env"; readonly name: string };

const FORMS = "text, { file: /path } or { env: NAME }";

/** Its faults never repeat what was written. */
export const secret = (): OptionSchema<SecretSource> =>
  v.pipe(
    v.unknown(),
    scalarShape("text, `{ file: /path }` or `{ env: NAME }`"),
    v.rawTransform(({ dataset, addIssue, NEVER }): SecretSource => {
      const parsed = parseSecret(dataset.value);
      if (typeof parsed !== "string") return parsed;
      addIssue({ message: parsed });
      return NEVER;
    }),
  );

/** @returns the reason where it is none */
function parseSecret(raw: unknown): SecretSource | string {
  if (raw === null) return "there is no value";
  if (typeof raw === "string") return raw === "" ? "the value is empty" : { kind: "inline", text: raw };
  if (!(raw instanceof Map)) return `expected ${FORMS}, got ${describeRaw(raw)}`;
  const [only, ...others] = raw.entries() as IterableIterator<[string, unknown]>;
  if (only === undefined || others.length > 0) return `expected ${FORMS}`;
  const [key, value] = only;
  if (key !== "file" && key !== "env") return `expected ${FORMS}`;
  if (typeof value !== "string" || value === "") return `"${key}" needs a value`;
  if (key === "env") return { kind: "env", name: value };
  return value.startsWith("/") ? { kind: "file", path: value } : `"file" needs an absolute path`;
}
