import assert from "node:assert/strict";
import { test } from "node:test";
import { faultsOf, openType } from "../../test/support/open-type.ts";
import { testTableContract } from "../../test/support/table-contract.ts";
import { ABSENT, found } from "./table.ts";
import type { Answer, Table } from "./table.ts";
import type { TableType } from "./table-type.ts";
import { FIRST } from "./types/first-table.ts";
import { PIPE } from "./types/pipe-table.ts";
import { UNION } from "./types/union-table.ts";

type Content = Readonly<Record<string, readonly string[] | "fails">>;

interface Member extends Table {
  /** The keys that it was asked for. */
  readonly asked: string[];
}

const FAILED: Answer = { kind: "failed", reason: "it is down" };

function member(name: string, content: Content, isLate: boolean): Member {
  const asked: string[] = [];
  const answer = (key: string): Answer => {
    const values = Object.hasOwn(content, key) ? content[key] : undefined;
    return values === "fails" ? FAILED : found(values ?? []);
  };
  return {
    name,
    asked,
    lookup(key) {
      asked.push(key);
      return isLate ? new Promise((resolve) => setImmediate(() => resolve(answer(key)))) : answer(key);
    },
  };
}

for (const isLate of [false, true])
  for (const [name, type] of [
    ["first", FIRST],
    ["union", UNION],
    ["pipe", PIPE],
  ] as const)
    testTableContract({
      name: `${name} of ${isLate ? "late" : "prompt"} members`,
      type,
      start(_t, entries) {
        let isBroken = false;
        const other = member("other", {}, isLate);
        const full: Table = {
          name: "full",
          lookup(key) {
            const value = entries.get(name === "pipe" ? key.slice(1) : key);
            const answer = isBroken ? FAILED : found(value === undefined ? [] : [value]);
            return isLate ? new Promise((resolve) => setImmediate(() => resolve(answer))) : answer;
          },
        };
        const before: Table = name === "pipe" ? { name: "before", lookup: (key) => found([`>${key}`]) } : other;
        return {
          options: { tables: ["before", "full"] },
          others: new Map([
            ["before", before],
            ["full", full],
          ]),
          break: () => void (isBroken = true),
          repair: () => void (isBroken = false),
        };
      },
      answersAtOnce: !isLate,
      holdsKeys: () => true,
      holdsValues: () => true,
    });

interface Case {
  readonly name: string;
  readonly type: TableType;
  readonly members: readonly Content[];
  readonly answer: Answer;
  /** What each member is asked. */
  readonly asked: readonly (readonly string[])[];
}

const cases: readonly Case[] = [
  {
    name: "first: the one that has it",
    type: FIRST,
    members: [{}, { k: ["2"] }, { k: ["3"] }],
    answer: found(["2"]),
    asked: [["k"], ["k"], []],
  },
  { name: "first: none has it", type: FIRST, members: [{}, {}], answer: ABSENT, asked: [["k"], ["k"]] },
  {
    name: "first: a failure ends the search",
    type: FIRST,
    members: [{}, { k: "fails" }, { k: ["3"] }],
    answer: FAILED,
    asked: [["k"], ["k"], []],
  },
  {
    name: "first: what comes after the answer may fail",
    type: FIRST,
    members: [{ k: ["1"] }, { k: "fails" }],
    answer: found(["1"]),
    asked: [["k"], []],
  },
  {
    name: "first: several results stay several",
    type: FIRST,
    members: [{}, { k: ["a", "b"] }],
    answer: found(["a", "b"]),
    asked: [["k"], ["k"]],
  },
  {
    name: "union: all results, each once, in order",
    type: UNION,
    members: [{ k: ["b", "a"] }, {}, { k: ["c", "a"] }],
    answer: { kind: "found", value: "b,a,c", values: ["b", "a", "c"] },
    asked: [["k"], ["k"], ["k"]],
  },
  {
    name: "union: one result is no list",
    type: UNION,
    members: [{ k: ["a"] }, { k: ["a"] }],
    answer: { kind: "found", value: "a" },
    asked: [["k"], ["k"]],
  },
  { name: "union: none has it", type: UNION, members: [{}, {}], answer: ABSENT, asked: [["k"], ["k"]] },
  {
    name: "union: any failure is all's",
    type: UNION,
    members: [{ k: ["a"] }, { k: "fails" }],
    answer: FAILED,
    asked: [["k"], ["k"]],
  },
  {
    name: "union: even where the others have none",
    type: UNION,
    members: [{ k: "fails" }, {}],
    answer: FAILED,
    asked: [["k"], ["k"]],
  },
  {
    name: "pipe: a value is the next key",
    type: PIPE,
    members: [{ k: ["l"] }, { l: ["m"] }, { m: ["n"] }],
    answer: found(["n"]),
    asked: [["k"], ["l"], ["m"]],
  },
  {
    name: "pipe: absent at the beginning",
    type: PIPE,
    members: [{}, { k: ["x"] }],
    answer: ABSENT,
    asked: [["k"], []],
  },
  { name: "pipe: absent at the end", type: PIPE, members: [{ k: ["l"] }, {}], answer: ABSENT, asked: [["k"], ["l"]] },
  {
    name: "pipe: a failure at the beginning",
    type: PIPE,
    members: [{ k: "fails" }, { k: ["x"] }],
    answer: FAILED,
    asked: [["k"], []],
  },
  {
    name: "pipe: a failure at the end",
    type: PIPE,
    members: [{ k: ["l"] }, { l: "fails" }],
    answer: FAILED,
    asked: [["k"], ["l"]],
  },
  {
    name: "pipe: each of several values goes on, each once",
    type: PIPE,
    members: [{ k: ["l", "m", "l"] }, { l: ["x", "y"], m: ["y", "z"] }],
    answer: found(["x", "y", "z"]),
    asked: [["k"], ["l", "m"]],
  },
  {
    name: "pipe: one of several that is absent is not lost",
    type: PIPE,
    members: [{ k: ["l", "m"] }, { l: ["x"] }],
    answer: ABSENT,
    asked: [["k"], ["l", "m"]],
  },
  {
    name: "pipe: a failure counts more than an absence",
    type: PIPE,
    members: [{ k: ["l", "m"] }, { m: "fails" }],
    answer: FAILED,
    asked: [["k"], ["l", "m"]],
  },
];

for (const isLate of [false, true])
  for (const { name, type, members: contents, answer, asked } of cases)
    test(`${name}, ${isLate ? "late" : "prompt"}`, async () => {
      const members = contents.map((content, number) => member(`t${number}`, content, isLate));
      const others = new Map(members.map((table) => [table.name, table]));
      const { table } = openType(type, { tables: [...others.keys()] }, { others });
      assert.deepEqual(await table.lookup("k"), answer);
      assert.deepEqual(
        members.map((each) => each.asked),
        asked,
      );
    });

test("union asks all at the same time", () => {
  const members = [member("a", {}, true), member("b", {}, true)];
  const { table } = openType(
    UNION,
    { tables: ["a", "b"] },
    { others: new Map(members.map((each) => [each.name, each])) },
  );
  void table.lookup("k");
  assert.deepEqual(
    members.map(({ asked }) => asked),
    [["k"], ["k"]],
  );
});

test("more than a thousand results have failed", async () => {
  const many = Array.from({ length: 1_001 }, (_, number) => `v${number}`);
  const tooMany: Answer = { kind: "failed", reason: "there are more than 1000 results" };
  const others = new Map([
    ["many", member("many", { k: many }, false)],
    ["none", member("none", {}, false)],
  ]);
  assert.deepEqual(await openType(UNION, { tables: ["none", "many"] }, { others }).table.lookup("k"), tooMany);
  assert.deepEqual(await openType(PIPE, { tables: ["many", "none"] }, { others }).table.lookup("k"), tooMany);
  assert.deepEqual(others.get("none")?.asked, ["k"]);
});

test("their option has faults that say what to write", () => {
  assert.deepEqual(faultsOf(FIRST, { tables: [] }), ["tables: there must be one table at least"]);
  assert.deepEqual(faultsOf(UNION, { tables: "users" }), [
    "tables: expected a list, such as [aliases, users], got text",
  ]);
  assert.deepEqual(faultsOf(PIPE, { tables: ["users"] }), ["tables: there must be two tables at least"]);
  assert.deepEqual(faultsOf(PIPE, { tables: ["users", null] }), ["tables.1: there is no value"]);
  assert.deepEqual(faultsOf(FIRST, { tables: ["users"], timeout: "5s" }), [
    'timeout: "timeout" means nothing here: this table asks others, which have their own',
  ]);
});
