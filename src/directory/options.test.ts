import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { directorySchema, toDirectoryOptions } from "./options.ts";

const parse = (store?: string): unknown => {
  const given = new Map(store === undefined ? [] : [["store", store]]);
  const parsed = v.safeParse(directorySchema, given);
  return parsed.success ? toDirectoryOptions(parsed.output).store.path : parsed.issues[0].message;
};

const cases: readonly (readonly [store: string | undefined, outcome: string | RegExp])[] = [
  [undefined, "/var/lib/mailshunt/directory.db"],
  ["sqlite:/srv/users.db", "/srv/users.db"],
  ["sqlite:/srv/a:b.db", "/srv/a:b.db"],
  ["/srv/users.db", /did you mean "sqlite:\/srv\/users\.db"\?$/],
  ["sqlite:users.db", /must be absolute, got "users\.db"$/],
  ["sqlite:", /must be absolute/],
  ["sqlite:/srv/", /that of a file, not of a folder/],
  ["postgres://db/users", /^expected sqlite: and an absolute path, such as .* got "postgres:/],
  ["directory.db", /^expected sqlite:/],
];
for (const [store, outcome] of cases)
  test(`the store ${store ?? "that is not said"}`, () => {
    if (typeof outcome === "string") assert.equal(parse(store), outcome);
    else assert.match(String(parse(store)), outcome);
  });
