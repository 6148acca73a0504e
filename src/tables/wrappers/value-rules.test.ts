import assert from "node:assert/strict";
import { test } from "node:test";
import type { ValueRules } from "../options.ts";
import type { Answer } from "../table.ts";
import { applyValueRules } from "./value-rules.ts";

const NONE: ValueRules = { jsonPath: undefined, template: undefined };
const found = (...values: readonly [string, ...string[]]): Answer =>
  values.length === 1 ? { kind: "found", value: values[0] } : { kind: "found", value: values.join(","), values };
const failed = (reason: string): Answer => ({ kind: "failed", reason });

interface Case {
  readonly name: string;
  readonly rules: Partial<ValueRules>;
  readonly key?: string;
  readonly given: Answer;
  readonly answer: Answer;
}

const USER = '{"host":"old","quota":{"bytes":5,"none":null},"on":true,"hosts":["a","b"]}';

const cases: readonly Case[] = [
  { name: "nothing to do", rules: {}, given: found("a"), answer: found("a") },
  {
    name: "absent stays absent",
    rules: { jsonPath: ["host"], template: "x" },
    given: { kind: "absent" },
    answer: { kind: "absent" },
  },
  { name: "failed stays failed", rules: { template: "x" }, given: failed("down"), answer: failed("down") },
  { name: "a member", rules: { jsonPath: ["host"] }, given: found(USER), answer: found("old") },
  { name: "a member of a member", rules: { jsonPath: ["quota", "bytes"] }, given: found(USER), answer: found("5") },
  { name: "a word", rules: { jsonPath: ["on"] }, given: found(USER), answer: found("true") },
  {
    name: "what is no text is its JSON",
    rules: { jsonPath: ["quota"] },
    given: found(USER),
    answer: found('{"bytes":5,"none":null}'),
  },
  { name: "an item", rules: { jsonPath: ["hosts", "1"] }, given: found(USER), answer: found("b") },
  { name: "null is absent", rules: { jsonPath: ["quota", "none"] }, given: found(USER), answer: { kind: "absent" } },
  {
    name: "a missing member has failed",
    rules: { jsonPath: ["hosst"] },
    given: found(USER),
    answer: failed("the value has no member hosst, which value.json names"),
  },
  {
    name: "so has one of null",
    rules: { jsonPath: ["quota", "none", "x"] },
    given: found(USER),
    answer: failed("the value has no member quota.none.x, which value.json names"),
  },
  {
    name: "and one that every object has",
    rules: { jsonPath: ["constructor"] },
    given: found(USER),
    answer: failed("the value has no member constructor, which value.json names"),
  },
  {
    name: "text that is no JSON has failed",
    rules: { jsonPath: ["host"] },
    given: found("old"),
    answer: failed("the value is not JSON, of which value.json would take host"),
  },
  {
    name: "a template",
    rules: { template: "lmtp:inet:{value}:24" },
    given: found("10.0.0.1"),
    answer: found("lmtp:inet:10.0.0.1:24"),
  },
  {
    name: "all placeholders",
    rules: { template: "{key}|{localpart}|{domain}|{value}|{value}" },
    given: found("v"),
    answer: found("u@b@x|u@b|x|v|v"),
    key: "u@b@x",
  },
  {
    name: "a key without @ is its own local part and domain",
    rules: { template: "{localpart}|{domain}" },
    given: found("v"),
    answer: found("x|x"),
    key: "x",
  },
  {
    name: "what is put in is not looked at again",
    rules: { template: "{value}{key}" },
    given: found("{key}$&"),
    answer: found("{key}$&{value}@x"),
    key: "{value}@x",
  },
  {
    name: "braces that are no placeholder",
    rules: { template: '{"host": "{value}"}' },
    given: found("v"),
    answer: found('{"host": "v"}'),
  },
  {
    name: "the member goes into the template",
    rules: { jsonPath: ["host"], template: "<{value}>" },
    given: found(USER),
    answer: found("<old>"),
  },
  {
    name: "each of several results",
    rules: { template: "<{value}>" },
    given: found("a", "b"),
    answer: found("<a>", "<b>"),
  },
  {
    name: "of several results those that are not null",
    rules: { jsonPath: ["a"] },
    given: found('{"a":1}', '{"a":null}'),
    answer: found("1"),
  },
  {
    name: "one of several that fails",
    rules: { jsonPath: ["a"] },
    given: found('{"a":1}', "{}"),
    answer: failed("the value has no member a, which value.json names"),
  },
];
for (const { name, rules, key = "user1@example.com", given, answer } of cases)
  test(name, () => assert.deepEqual(applyValueRules(key, given, { ...NONE, ...rules }), answer));
