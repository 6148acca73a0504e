import type { InferOutput } from "valibot";
import { optional, section, withDefault } from "../core/option-schema.ts";
import { scalar, text } from "../core/option-values.ts";
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
  /** Table that a move writes in place of an entry here: it decides where users live. */
  readonly writeThrough?: string;
  /** How long changes and ended moves are kept, in ms; without it for ever. */
  readonly keepHistoryMs?: number;
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

const DAY_MS = 86_400_000;

/** Longer than any duration that a timer counts. */
function parseDays(given: string): Parsed<number | undefined> {
  if (given === "forever") return ok(undefined);
  const [, days] = /^([1-9]\d{0,4}) *d$/.exec(given) ?? [];
  return days === undefined
    ? bad(`expected days, such as 365d, or forever, got "${given}"`)
    : ok(Number(days) * DAY_MS);
}

export const directorySchema = section({
  store: withDefault(scalar("`sqlite:` and an absolute path", parseStore), DEFAULT_STORE, {
    description:
      "File that keeps which user lives where, holds and moves, for one daemon at a time. It is created with " +
      "what stands beside it (`-wal`, `-shm`, `.lock`, `.pid`); its folder must be there, writable, and on a local disk.",
    isInSample: true,
  }),
  write_through: optional(text("a table's name"), {
    description:
      "One of `routing.tables`, of type `sql` (with `set`), `url` or `redis`, that decides where users live: a move writes the new backend's " +
      "name there for the user key, reads it back, and leaves no entry in the directory. The router asks it for the user key before other spellings.",
  }),
  keep_history: withDefault(scalar("days, such as `90d`, or `forever`", parseDays), "365d", {
    description:
      "How long changes (`mailshunt history`) and moves that have ended are kept. The last move that brought a user to another " +
      "backend always is: it tells where the mailbox is.",
  }),
});

export type DirectorySection = InferOutput<typeof directorySchema>;

export const toDirectoryOptions = ({
  store,
  write_through: writeThrough,
  keep_history: keepHistoryMs,
}: DirectorySection): DirectoryOptions => ({
  store,
  ...(writeThrough === undefined ? {} : { writeThrough }),
  ...(keepHistoryMs === undefined ? {} : { keepHistoryMs }),
});
