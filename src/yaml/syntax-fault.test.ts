import assert from "node:assert/strict";
import { test } from "node:test";
import { YAMLException } from "js-yaml";
import { describeSyntaxError } from "./syntax-fault.ts";

/** What the parser says of a line that it did not take for a key with its value. */
function faultAt(position: number): YAMLException {
  const fault = new YAMLException("bad mapping key");
  Object.assign(fault, { mark: { position } });
  return fault;
}

for (const { text, position, colon } of [
  { text: "\na:b\n", position: 3, colon: 2 },
  { text: "\n\n# x\na:b\nc: d\n", position: 11, colon: undefined },
  { text: "\n", position: 0, colon: undefined },
  { text: "a:b\n", position: 1, colon: 1 },
])
  test(`the search for a glued colon ends at the beginning of ${JSON.stringify(text)}`, () => {
    const { offset, message } = describeSyntaxError(text, faultAt(position));
    if (colon !== undefined) assert.equal(offset, colon);
    assert.equal(message.includes("after this colon"), colon !== undefined || text.includes("a:b"));
  });
