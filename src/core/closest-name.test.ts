import assert from "node:assert/strict";
import { test } from "node:test";
import { closestName, countEdits } from "./closest-name.ts";

const KEYS = ["max_connections", "max_idle_connections", "idle_timeout", "lmtp", "user", "password"];

const cases: readonly [string, string | undefined][] = [
  ["max_conections", "max_connections"],
  ["maxConnections", "max_connections"],
  ["max-idle-connections", "max_idle_connections"],
  ["pasword", "password"],
  ["passwrod", "password"],
  ["lmpt", "lmtp"],
  ["usr", "user"],
  ["PASSWORD", "password"],
  ["colour", undefined],
  ["x", undefined],
  ["", undefined],
];
for (const [wrong, meant] of cases)
  test(`"${wrong}" was meant as ${meant ?? "nothing known"}`, () => assert.equal(closestName(wrong, KEYS), meant));

test("edits are insertions, deletions, replacements and swaps of neighbours", () => {
  assert.deepEqual(
    [countEdits("ab", "abc", 9), countEdits("abc", "ab", 9), countEdits("abc", "axc", 9), countEdits("abc", "acb", 9)],
    [1, 1, 1, 1],
  );
  assert.equal(countEdits("kitten", "sitting", 9), 3);
  assert.equal(countEdits("kitten", "sitting", 2), 2);
});
