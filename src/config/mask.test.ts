import assert from "node:assert/strict";
import { test } from "node:test";
import { findSecrets, hideSecrets } from "./mask.ts";
import { composeYaml } from "../yaml/compose.ts";

/** The line that holds `at`, as a fault would show it, without and with a tree. */
function shown(text: string, at: string, withTree: boolean): string {
  const offset = text.indexOf(at);
  const from = text.lastIndexOf("\n", offset) + 1;
  const end = text.indexOf("\n", offset);
  const { root } = composeYaml(text, () => false);
  const secrets = withTree && root !== undefined ? findSecrets(root) : [];
  return hideSecrets(text, { lineStart: from, from, to: end === -1 ? text.length : end }, secrets);
}

const byLook: readonly [string, string, string][] = [
  ["a plain value", "password: hunter2 # x", "password: ******* * *"],
  ["a value with commas", "  password: hunter2, 3", "  password: ******** *"],
  ["a quoted key", `"password": 'hunter2'`, `"password": *********`],
  ["no blank behind the colon", "password:hunter2", "password:*******"],
  ["in braces, plain", "a: { password: hunter2, b: c }", "a: { password: *******, b: c }"],
  ["in braces, quoted with a comma", `a: { password: "hunter2, \\"}", b: c }`, "a: { password: ********* ****, b: c }"],
  [
    "in braces, twice",
    "{ a: { passwd: hunter2 }, b: { secret: hunter2 } }",
    "{ a: { passwd: ******* }, b: { secret: ******* } }",
  ],
  ["a reference stays", "password: { file: /etc/x }", "password: { file: /etc/x }"],
  ["a reference in braces stays", "a: { password: { env: X }, b: c }", "a: { password: { env: X }, b: c }"],
  ["a token", "bearer_token: hunter2", "bearer_token: *******"],
  ["a password in a URL", 'url: "http://me:hunter2@app/{}"', 'url: "http://**********@app/{}"'],
  ["other lines stay", "user: hunter2", "user: hunter2"],
];
for (const [name, line, masked] of byLook)
  test(`masked by look: ${name}`, () => assert.equal(shown(line, line, false), masked));

test("the lines below an open password are masked, the ones beside it are not", () => {
  const text = "a:\n  password: |\n    hunter2\n    hunter2\n  user: x\n";
  assert.equal(shown(text, "    hunter2", false), "    *******");
  assert.equal(shown(text, "user", false), "  user: x");
});

test("the lines of an open quote are masked, however they are indented", () => {
  for (const quote of ['"', "'"]) {
    const text = `a: {\n  password: ${quote}x\n  y\nhunter2\n`;
    assert.equal(shown(text, "hunter2", false), "*******");
    assert.equal(shown(`${text}${quote}\n  user: x\n`, "  user", false), "  user: x");
  }
});

test("with a tree, secrets are masked wherever they came from", () => {
  const text = "word: &p hunter2\nbackends:\n  a: { pasword: *p }\n  b: { user: u, passwort: hunter2, c: d }\n";
  assert.equal(shown(text, "word", true), "word: &p *******");
  assert.equal(shown(text, "b:", true), "  b: { user: u, passwort: *******, c: d }");
  const table = "headers: { X-Key: hunter2, Y: { file: /etc/y } }\n";
  assert.equal(shown(table, "headers", true), "headers: { *****: *******, *: { file: /etc/y } }");
});
