import assert from "node:assert/strict";
import { test } from "node:test";
import { isUserKey } from "./key.ts";

const ours = new Set(["example.com"]);
const cases = [
  { key: "ada@example.com", isUser: true },
  { key: "Ada+x@EXAMPLE.com", isUser: true },
  { key: '"odd @ user"@example.com', isUser: true },
  { key: "odd @ user@example.com", isUser: true },
  { key: "ada@elsewhere.example", isUser: false },
  { key: "ada@sub.example.com", isUser: false },
  { key: "ada@", isUser: false },
  { key: "@example.com", isUser: false },
  { key: "*", isUser: false },
  { key: "", isUser: false },
  { key: "example.com", isUser: false },
  { key: '"ada@example.com"', isUser: false },
];
for (const { key, isUser } of cases)
  test(`${JSON.stringify(key)} is ${isUser ? "a" : "no"} user's`, () =>
    assert.equal(isUserKey(key, { domains: ours, takesBareNames: false }), isUser));

test("without domains everybody may be ours, with bare names those too", () => {
  assert.ok(isUserKey("ada@elsewhere.example", { domains: undefined, takesBareNames: false }));
  assert.ok(isUserKey("ada", { domains: ours, takesBareNames: true }));
  for (const key of ["", "*", "@example.com", "ada@elsewhere.example"])
    assert.ok(!isUserKey(key, { domains: ours, takesBareNames: true }), key);
});
