import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { directorySchema, toDirectoryOptions } from "./options.ts";

const keepOf = (given?: string): unknown => {
  const parsed = v.safeParse(directorySchema, new Map(given === undefined ? [] : [["keep_history", given]]));
  return parsed.success ? toDirectoryOptions(parsed.output).keepHistoryMs : parsed.issues[0].message;
};

test("how long history is kept", () => {
  assert.equal(keepOf(), 365 * 86_400_000);
  assert.equal(keepOf("90d"), 90 * 86_400_000);
  assert.equal(keepOf("forever"), undefined);
  for (const bad of ["0d", "90", "2h", "-1d", "100000d"])
    assert.equal(keepOf(bad), `expected days, such as 365d, or forever, got "${bad}"`);
});

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
