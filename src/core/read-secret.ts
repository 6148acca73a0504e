import { closeSync, readSync } from "node:fs";
import * as v from "valibot";
import type { OptionSchema } from "./option-schema.ts";
import { secret } from "./secret.ts";
import type { SecretSource } from "./secret.ts";
import { bad, ok } from "./units.ts";
import type { Parsed } from "./units.ts";
import { openFile } from "./open-file.ts";
import { describeReadError } from "./read-error.ts";

/** Longest password we read, in bytes: a path to the wrong file must not fill the memory. */
const MAX_SECRET_BYTES = 4096;

export function readSecret(source: SecretSource): Parsed<string> {
  switch (source.kind) {
    case "inline":
      return ok(source.text);
    case "env": {
      const value = process.env[source.name];
      if (value === undefined) return bad(`the environment has no variable "${source.name}"`);
      return value === "" ? bad(`the environment variable "${source.name}" is empty`) : ok(value);
    }
    case "file":
      return readSecretFile(source.path);
  }
}

function readSecretFile(path: string): Parsed<string> {
  const bytes = Buffer.alloc(MAX_SECRET_BYTES + 1);
  let length: number;
  try {
    const file = openFile(path, false);
    try {
      length = readSync(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return bad(`cannot read ${path}: ${describeReadError(error)}`);
  }
  if (length > MAX_SECRET_BYTES) return bad(`${path} is no password: it has more than ${MAX_SECRET_BYTES} bytes`);
  const password = bytes.toString("utf8", 0, length).replace(/\r?\n$/, "");
  if (password === "") return bad(`${path} is empty`);
  return /[\0\r\n]/.test(password) ? bad(`${path} is no password: it has several lines`) : ok(password);
}

/** A secret that is read when the file is checked, so that its faults stand where it is named. */
export const secretText = (): OptionSchema<string> =>
  v.pipe(
    secret(),
    v.rawTransform(({ dataset, addIssue, NEVER }): string => {
      const read = readSecret(dataset.value);
      if (read.kind === "ok") return read.value;
      addIssue({ message: read.reason });
      return NEVER;
    }),
  );
