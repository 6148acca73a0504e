import type { InferOutput } from "valibot";
import { section, withDefault } from "../core/option-schema.ts";
import { scalar } from "../core/option-values.ts";
import { bad, ok } from "../core/units.ts";
import type { Parsed } from "../core/units.ts";

/** Where the directory is kept. */
export interface DirectoryStore {
  readonly kind: "sqlite";
  /** Absolute. Files of the same name with endings (`-wal`, `-shm`, `.lock`, `.pid`) stand beside it. */
  readonly path: string;
}

export interface DirectoryOptions {
  readonly store: DirectoryStore;
}

export const DEFAULT_STORE = "sqlite:/var/lib/mailshunt/directory.db";

function parseStore(given: string): Parsed<DirectoryStore> {
  const colon = given.indexOf(":");
  if (given.startsWith("/")) return bad(`expected sqlite: and an absolute path: did you mean "sqlite:${given}"?`);
  if (colon === -1 || given.slice(0, colon) !== "sqlite")
    return bad(`expected sqlite: and an absolute path, such as ${DEFAULT_STORE}, got "${given}"`);
  const path = given.slice(colon + 1);
  if (!path.startsWith("/")) return bad(`the path after sqlite: must be absolute, got "${path}"`);
  if (path.endsWith("/")) return bad(`the path after sqlite: is that of a file, not of a folder: "${path}"`);
  return path.includes("\0") ? bad("a path has no NUL character") : ok({ kind: "sqlite", path });
}

export const directorySchema = section({
  store: withDefault(scalar("`sqlite:` and an absolute path", parseStore), DEFAULT_STORE, {
    description:
      "File that keeps which user lives where, holds and moves, for one daemon at a time. It is created with " +
      "what stands beside it (`-wal`, `-shm`, `.lock`, `.pid`); its folder must be there, writable, and on a local disk.",
    isInSample: true,
  }),
});

export type DirectorySection = InferOutput<typeof directorySchema>;

export const toDirectoryOptions = (given: DirectorySection): DirectoryOptions => ({ store: given.store });
