import assert from "node:assert/strict";
import { test } from "node:test";
import { translatePodop } from "./podop-command.ts";

const reasonFor = (tables: Readonly<Record<string, string>>): string | undefined => {
  const translated = translatePodop({
    socket: "/tmp/podop.socket",
    mode: "postfix",
    tables: Object.entries(tables).map(([name, param]) => ({ name, type: "first", param })),
    verbosity: 0,
  });
  return translated.kind === "bad" ? translated.reason : undefined;
};

test("tables that ask each other in a circle are a fault of the command line", () => {
  assert.equal(reasonFor({ a: "a" }), "these tables ask each other in a circle: a → a");
  assert.equal(reasonFor({ a: "b", b: "c", c: "b" }), "these tables ask each other in a circle: b → c → b");
});

test("members that there are not are faults of the command line, and told beside circles", () => {
  assert.equal(
    reasonFor({ alias: "alais, none" }),
    'table alias: there is no table "alais"; did you mean "alias"?\ntable alias: there is no table "none"',
  );
});
