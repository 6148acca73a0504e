import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeCommitReply,
  encodeIterationFailure,
  encodeLookupReply,
  encodeRows,
  ITERATION_END,
  type CommitOutcome,
  type DictAnswer,
} from "./reply.ts";

const JSON_VALUE = `{"password":null,"nopassword":"Y"}`;
const lookups: { name: string; answer: DictAnswer; want: string }[] = [
  { name: "a value", answer: { kind: "found", value: "val 1" }, want: "Oval 1\n" },
  { name: "JSON", answer: { kind: "found", value: JSON_VALUE }, want: `O${JSON_VALUE}\n` },
  { name: "an empty value", answer: { kind: "found", value: "" }, want: "O\n" },
  {
    name: "every byte to escape",
    answer: { kind: "found", value: "\0\x01\t\r\n" },
    want: "O\x010\x011\x01t\x01r\x01n\n",
  },
  { name: "UTF-8 and not", answer: { kind: "found", value: "Ü\udcfc" }, want: "O\xc3\x9c\xfc\n" },
  {
    name: "several values",
    answer: { kind: "found", value: "one,two", values: ["one", "two"] },
    want: "Mone\x01ttwo\n",
  },
  {
    name: "several values to escape",
    answer: { kind: "found", value: "a\tb,c", values: ["a\tb", "c"] },
    want: "Ma\x011tb\x01tc\n",
  },
  { name: "one of several", answer: { kind: "found", value: "one", values: ["one"] }, want: "Oone\n" },
  { name: "absent", answer: { kind: "absent" }, want: "N\n" },
  { name: "failed", answer: { kind: "failed", reason: "why" }, want: "Fwhy\n" },
  { name: "failed over lines", answer: { kind: "failed", reason: "a\tb\n\x01c" }, want: "Fa b  c\n" },
  { name: "failed, without a reason", answer: { kind: "failed", reason: "" }, want: "F\n" },
];
for (const { name, answer, want } of lookups)
  test(`a lookup's reply: ${name}`, () => assert.equal(encodeLookupReply(answer, true), want));

test("a client that knows no M gets the values joined", () => {
  const answer: DictAnswer = { kind: "found", value: "one,two", values: ["one", "two"] };
  assert.equal(encodeLookupReply(answer, false), "Oone,two\n");
});

test("rows of an iteration", () => {
  const rows = [
    { key: "shared/a", value: "1" },
    { key: "shared/b\tb", value: "x\ny" },
    { key: "shared/c", value: "" },
    { key: "shared/d" },
    { key: "shared/\udcfc", value: "Ü" },
  ];
  assert.equal(
    encodeRows(rows, { omitsValues: false }).toString("latin1"),
    "Oshared/a\t1\nOshared/b\x01tb\tx\x01ny\nOshared/c\t\nOshared/d\t\nOshared/\xfc\t\xc3\x9c\n",
  );
  assert.equal(encodeRows(rows.slice(0, 2), { omitsValues: true }).toString(), "Oshared/a\t\nOshared/b\x01tb\t\n");
  assert.equal(encodeRows([], { omitsValues: false }).toString(), "");
});

test("an iteration ends with an empty line, or with its failure", () => {
  assert.equal(ITERATION_END.toString(), "\n");
  assert.equal(encodeIterationFailure("why").toString(), "Fwhy\n");
});

const commits: { outcome: CommitOutcome; want: string }[] = [
  { outcome: { kind: "done" }, want: "O1\n" },
  { outcome: { kind: "absent" }, want: "N1\n" },
  { outcome: { kind: "failed", reason: "why\tnot" }, want: "F1\twhy not\n" },
  { outcome: { kind: "failed", reason: "" }, want: "F1\t\n" },
  { outcome: { kind: "uncertain", reason: "why" }, want: "W1\twhy\n" },
];
for (const { outcome, want } of commits)
  test(`a commit's reply: ${outcome.kind}, ${JSON.stringify(want)}`, () => {
    assert.equal(encodeCommitReply(1, false, outcome), want);
    assert.equal(encodeCommitReply(1, true, outcome), `A${want}`);
  });
