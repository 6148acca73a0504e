import assert from "node:assert/strict";
import { test } from "node:test";
import { fillTemplate, keyIn, parseKeyTemplate, patternFor } from "./key-template.ts";

const MAIL = { before: "mail:", after: ":box" };

test("a template says where the key stands", () => {
  assert.deepEqual(parseKeyTemplate("{}"), { kind: "ok", value: { before: "", after: "" } });
  assert.deepEqual(parseKeyTemplate("mail:{}:box"), { kind: "ok", value: MAIL });
  assert.deepEqual(parseKeyTemplate("mail"), {
    kind: "bad",
    reason: '"{}" must stand where the key belongs, such as in "mail:{}"',
  });
  assert.deepEqual(parseKeyTemplate("{}:{}"), { kind: "bad", reason: '"{}" must stand in it once' });
});

test("a key is put in as it is, whatever it holds, and found again", () => {
  for (const key of ["", "a@b", "{}", "$&", "a:box", "mail:", "\0*?[", "müller"]) {
    assert.equal(fillTemplate(MAIL, key), `mail:${key}:box`);
    assert.equal(keyIn(MAIL, `mail:${key}:box`), key);
  }
  assert.deepEqual(fillTemplate(MAIL, "\udcff"), Buffer.from("mail:\xff:box", "latin1"));
});

test("keys of others are none of the table's", () => {
  for (const full of ["", "mail:", "mail:a", "a:box", "Mail:a:box", "mail:box"])
    assert.equal(keyIn(MAIL, full), undefined);
});

test("a pattern takes nothing but its star for a pattern", () => {
  assert.equal(patternFor(MAIL, "a"), "mail:a*:box");
  assert.equal(patternFor({ before: "[", after: "?" }, "*\\"), "\\[\\*\\\\*\\?");
  assert.deepEqual(patternFor({ before: "", after: "" }, "\udcff*"), Buffer.from("\xff\\**", "latin1"));
});
