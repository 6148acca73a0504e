import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, openType } from "../../../test/support/open-type.ts";
import { testTableContract } from "../../../test/support/table-contract.ts";
import type { Answer } from "../table.ts";
import { compilePattern } from "./regexp-pattern.ts";
import { REGEXP } from "./regexp-table.ts";

testTableContract({
  name: "regexp",
  type: REGEXP,
  start: (_t, entries) => ({
    options: {
      patterns: [...entries].map(([key, value]) => ({
        match: `^${key.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)}$`,
        value: value.replaceAll("$", "$$$$"),
      })),
      case: "exact",
    },
  }),
  holdsKeys: (key) => key.isWellFormed() && key !== "" && key.length < 4_096,
  holdsValues: (value) => value !== "",
  neverBreaks: true,
  answersAtOnce: true,
});

function ask(patterns: readonly unknown[], key: string, options: Readonly<Record<string, unknown>> = {}): Answer {
  const answer = openType(REGEXP, { patterns, ...options }).table.lookup(key);
  assert.ok(!(answer instanceof Promise));
  return answer;
}

const found = (value: string): Answer => ({ kind: "found", value });
const ABSENT: Answer = { kind: "absent" };

const OLD = { match: String.raw`^(.*)@old\.example$`, value: "$1@new.example" };

interface Case {
  readonly name: string;
  readonly patterns: readonly unknown[];
  readonly key: string;
  readonly answer: Answer;
}

// Lines were compared with `postmap -q KEY regexp:FILE` of Postfix 3.7.
const cases: readonly Case[] = [
  { name: "a group in the value", patterns: [OLD], key: "user1@old.example", answer: found("user1@new.example") },
  {
    name: "case is folded, and what matched stays as it came",
    patterns: [OLD],
    key: "User1@OLD.example",
    answer: found("User1@new.example"),
  },
  { name: "no pattern matches", patterns: [OLD], key: "user1@older.example", answer: ABSENT },
  { name: "no pattern at all", patterns: [], key: "user1", answer: ABSENT },
  {
    name: "the first that matches answers",
    patterns: [
      { match: "x", value: "0" },
      { match: "user", value: "1" },
      { match: "user1", value: "2" },
    ],
    key: "user1",
    answer: found("1"),
  },
  { name: "a match anywhere", patterns: [{ match: "b", value: "v" }], key: "abc", answer: found("v") },
  {
    name: "${1}, $(1), $$ and a digit behind",
    patterns: [{ match: "(.)(.)", value: "${1}0$(2)1$$1" }],
    key: "ab",
    answer: found("a0b1$1"),
  },
  {
    name: "a group that took no part is empty",
    patterns: [{ match: "(a)|(b)", value: "<$1$2>" }],
    key: "b",
    answer: found("<b>"),
  },
  {
    name: "what a key has is not expanded again",
    patterns: [{ match: "(.*)", value: "$1" }],
    key: "$1$$",
    answer: found("$1$$"),
  },
  {
    name: "a dot takes line ends",
    patterns: [{ match: "^(.*)@x$", value: "$1" }],
    key: "a\nb@x",
    answer: found("a\nb"),
  },
  {
    name: "$ is the end of the key, not of a line",
    patterns: [{ match: "a$", value: "v" }],
    key: "a\n",
    answer: ABSENT,
  },
  { name: "case: exact of one", patterns: [{ match: "User", value: "v", case: "exact" }], key: "user", answer: ABSENT },
  {
    name: "a line of Postfix",
    patterns: [String.raw`/^(.*)@old\.example$/  $1@new.example`],
    key: "u@OLD.example",
    answer: found("u@new.example"),
  },
  { name: "i toggles", patterns: ["/User/i  v"], key: "user", answer: ABSENT },
  { name: "m toggles", patterns: ["/^b$/m  v"], key: "a\nb", answer: found("v") },
  { name: "a negated line", patterns: ["!/@/ none"], key: "user1", answer: found("none") },
  { name: "a negated line that matches", patterns: ["!/@/ none"], key: "user1@x", answer: ABSENT },
  { name: "another delimiter", patterns: ["|a/b| v w"], key: "a/b", answer: found("v w") },
  { name: "an escaped delimiter", patterns: [String.raw`/a\/b\.c/ v`], key: "a/b.c", answer: found("v") },
];
for (const { name, patterns, key, answer } of cases)
  test(`regexp: ${name}`, () => assert.deepEqual(ask(patterns, key), answer));

test("case: exact of the table counts where a pattern says nothing", () => {
  const patterns = [
    { match: "User", value: "1" },
    { match: "USER", value: "2", case: "fold" },
  ];
  assert.deepEqual(ask(patterns, "User", { case: "exact" }), found("1"));
  assert.deepEqual(ask(patterns, "user", { case: "exact" }), found("2"));
});

const bad: readonly (readonly [name: string, patterns: unknown, fault: string])[] = [
  ["no list", "/a/ b", "patterns: expected a list, such as [{ match: '@old\\.example$', value: new }], got text"],
  ["a list in the list", [["a"]], "patterns.0: expected a mapping of match and value, got a list"],
  ["no value", [{ match: "a" }], 'patterns.0: "value" is missing'],
  [
    "an unknown key",
    [{ match: "a", value: "b", flag: "i" }],
    'patterns.0.flag: unknown key "flag": known are match, value, case',
  ],
  [
    "an open bracket",
    [OLD, { match: "(a", value: "b" }],
    "patterns.1.match: not a regular expression: missing closing )",
  ],
  [
    "a bad class",
    [{ match: "[z-a]", value: "b" }],
    'patterns.0.match: not a regular expression: invalid character class range, "z-a"',
  ],
  [
    "a lookahead",
    [{ match: "(?!a)b", value: "b" }],
    'patterns.0.match: there are no lookaheads, lookbehinds and backreferences here: "(?!" (use several patterns, the first that matches counts)',
  ],
  [
    "a backreference",
    [{ match: String.raw`(a)\1`, value: "b" }],
    String.raw`patterns.0.match: there are no lookaheads, lookbehinds and backreferences here: "\1" (use several patterns, the first that matches counts)`,
  ],
  [
    "too much",
    [{ match: "abcdefghij".repeat(1_100), value: "b" }],
    "patterns.0.match: the pattern is too complex: split it, or repeat fewer things fewer times",
  ],
  [
    "a group that is not there",
    [{ match: "(a)", value: "$2" }],
    "patterns.0.value: the value has $2, but the pattern has only 1 in brackets: write $$ for a dollar sign",
  ],
  [
    "no groups at all",
    [{ match: "a", value: "$1" }],
    "patterns.0.value: the value has $1, but the pattern has no group in brackets: write $$ for a dollar sign",
  ],
  [
    "a name",
    [{ match: "a", value: "$user" }],
    "patterns.0.value: a dollar sign in the value is followed by a group's number, $1 or ${1}, or is written $$",
  ],
  [
    "a line that is none",
    ["user1 old"],
    String.raw`patterns.0: expected a mapping of match and value, or a line of Postfix, such as "/^(.*)@old\.example$/ $1@new.example"`,
  ],
  ["if", ["if /a/"], "patterns.0: there is no if and endif here: write what they enclose as patterns of their own"],
  ["a line without its end", ["/a b"], "patterns.0: the pattern has no second /"],
  ["a line without a value", ["/a/i"], "patterns.0: expected flags, a blank and a value behind the second /"],
  ["an unknown flag", ["/a/x b"], 'patterns.0: there is no flag "x" here: known are i and m'],
  [
    "a negated line with a group",
    ["!/(a)/ $1"],
    "patterns.0: a pattern with ! answers for keys that do not match, and so has no groups: write $$ for a dollar sign",
  ],
];
for (const [name, patterns, fault] of bad)
  test(`regexp, a fault: ${name}`, () => assert.deepEqual(faultsOf(REGEXP, { patterns }), [fault]));

test("a pattern that would take other engines for ever takes milliseconds", (t) => {
  for (const match of ["(a+)+$", "(a|aa)+$", "(.*)(.*)(.*)(.*)x$", "(a?){20}a{20}$"]) {
    const compiled = compilePattern({ match, value: "$1", ignoresCase: true, isMultiline: false, isNegated: false });
    assert.ok(compiled.kind === "ok");
    const begun = performance.now();
    assert.equal(compiled.pattern.answer(`${"a".repeat(100_000)}b`), undefined);
    compiled.pattern.answer("a".repeat(100_000));
    const tookMs = performance.now() - begun;
    t.diagnostic(`${match}: ${tookMs.toFixed(1)} ms`);
    // Measured: up to 300 ms. An exponential one would take longer than the sun lasts.
    assert.ok(tookMs < 10_000);
  }
});

test("a key that is too long has failed, for it may be there", () => {
  assert.deepEqual(ask([OLD], "a".repeat(4_097)), {
    kind: "failed",
    reason: "the key is longer than 4096 characters",
  });
});
