import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KEY_FORMS } from "../options.ts";
import type { KeyRules } from "../options.ts";
import type { Answer, Table } from "../table.ts";
import { keysToAsk, withKeyRules } from "./key-rules.ts";

const DEFAULTS: KeyRules = { fold: "domain", recipientDelimiter: "", forms: ["address"] };
const ALL: KeyRules = { fold: "domain", recipientDelimiter: "+", forms: KEY_FORMS };

interface Case {
  readonly name: string;
  readonly key: string;
  readonly rules?: Partial<KeyRules>;
  readonly keys: readonly string[];
}

const cases: readonly Case[] = [
  { name: "the domain is folded", key: "User@Example.COM", keys: ["User@example.com"] },
  { name: "nothing is folded", key: "User@Example.COM", rules: { fold: "none" }, keys: ["User@Example.COM"] },
  { name: "all is folded", key: "User@Example.COM", rules: { fold: "all" }, keys: ["user@example.com"] },
  { name: "a key without @ is left alone", key: "Example.COM", keys: ["Example.COM"] },
  { name: "but for fold: all", key: "Example.COM", rules: { fold: "all" }, keys: ["example.com"] },
  { name: "folding that changes the length", key: "İx@Example.COM", rules: { fold: "all" }, keys: ["i̇x@example.com"] },
  { name: "the empty key", key: "", rules: ALL, keys: [""] },
  { name: "the wildcard of transport maps", key: "*", rules: ALL, keys: ["*"] },
  { name: "the last @ counts", key: "a@b@C", keys: ["a@b@c"] },
  {
    name: "an @ in quotes is none",
    key: '"a@b"@Dom',
    rules: { forms: ["localpart", "domain"] },
    keys: ['"a@b"', "dom"],
  },
  { name: "quotes alone are a local part", key: '"A@B"', rules: ALL, keys: ['"A@B"'] },
  { name: "blanks and other bytes stay", key: "odd user\udcff@X", keys: ["odd user\udcff@x"] },
  {
    name: "all forms, with the extension first",
    key: "User+Ext@Example.COM",
    rules: ALL,
    keys: ["User+Ext@example.com", "User@example.com", "User+Ext", "User", "@example.com", "example.com"],
  },
  { name: "forms go in their order", key: "u@x", rules: { forms: ["domain", "address"] }, keys: ["x", "u@x"] },
  { name: "no form twice", key: "u@x", rules: { forms: ["address", "address"] }, keys: ["u@x"] },
  { name: "the first delimiter counts", key: "a+b+c@x", rules: { recipientDelimiter: "+" }, keys: ["a+b+c@x", "a@x"] },
  { name: "any of several delimiters", key: "a-b+c@x", rules: { recipientDelimiter: "+-" }, keys: ["a-b+c@x", "a@x"] },
  { name: "nothing before a delimiter is no user", key: "+a@x", rules: { recipientDelimiter: "+" }, keys: ["+a@x"] },
  { name: "a delimiter at the end", key: "a+@x", rules: { recipientDelimiter: "+" }, keys: ["a+@x", "a@x"] },
  { name: "a delimiter in the domain is none", key: "a@x+y", rules: { recipientDelimiter: "+" }, keys: ["a@x+y"] },
  {
    name: "a quoted local part stays quoted",
    key: '"odd user+ext"@x',
    rules: { recipientDelimiter: "+" },
    keys: ['"odd user+ext"@x', '"odd user"@x'],
  },
  { name: "a domain with its @", key: "@Example.COM", rules: ALL, keys: ["@example.com", "example.com"] },
  { name: "a user with an @ alone", key: "user@", rules: ALL, keys: ["user@", "user"] },
  { name: "an @ alone", key: "@", rules: ALL, keys: [] },
];
for (const { name, key, rules = {}, keys } of cases)
  test(`${name}: ${JSON.stringify(key)}`, () => assert.deepEqual(keysToAsk(key, { ...DEFAULTS, ...rules }), keys));

test("what is asked never grows beyond two of each form, and never repeats", () => {
  const part = fc.string({ unit: fc.constantFrom("a", "A", "+", "-", "@", '"', " ", "İ", "\udcff"), maxLength: 12 });
  fc.assert(
    fc.property(part, fc.constantFrom("none", "domain", "all"), fc.subarray([...KEY_FORMS]), (key, fold, forms) => {
      const keys = keysToAsk(key, { fold, recipientDelimiter: "+-", forms });
      assert.equal(new Set(keys).size, keys.length);
      assert.ok(keys.length <= Math.max(1, 2 * forms.length));
      if (key !== "") assert.ok(!keys.includes(""));
    }),
    { numRuns: 2_000 },
  );
});

const found = (value: string): Answer => ({ kind: "found", value });
const FAILED: Answer = { kind: "failed", reason: "it is down" };

function tableOf(answers: Readonly<Record<string, Answer>>, isLate: boolean): { table: Table; asked: string[] } {
  const asked: string[] = [];
  const table: Table = {
    name: "users",
    lookup(key) {
      asked.push(key);
      const answer: Answer = answers[key] ?? { kind: "absent" };
      return isLate ? Promise.resolve(answer) : answer;
    },
  };
  return { table, asked };
}

for (const isLate of [false, true]) {
  const when = isLate ? "late" : "prompt";

  test(`a form after the other is asked until one is found, ${when}`, async () => {
    const { table, asked } = tableOf({ user: found("old"), "@example.com": found("new") }, isLate);
    const answer = withKeyRules(table, ALL).lookup("user+ext@example.com");
    assert.equal(answer instanceof Promise, isLate);
    assert.deepEqual(await answer, found("old"));
    assert.deepEqual(asked, ["user+ext@example.com", "user@example.com", "user+ext", "user"]);
  });

  test(`a failure ends the search, ${when}`, async () => {
    const { table, asked } = tableOf({ "user@example.com": FAILED, user: found("old") }, isLate);
    assert.deepEqual(await withKeyRules(table, ALL).lookup("user@example.com"), FAILED);
    assert.deepEqual(asked, ["user@example.com"]);
  });

  test(`absent in every form is absent, ${when}`, async () => {
    const { table } = tableOf({}, isLate);
    assert.deepEqual(await withKeyRules(table, ALL).lookup("user@example.com"), { kind: "absent" });
  });
}

test("a table without rules is the same table", () => {
  const { table } = tableOf({}, false);
  assert.equal(withKeyRules(table, undefined), table);
});
