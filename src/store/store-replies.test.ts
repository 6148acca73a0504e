import assert from "node:assert/strict";
import test from "node:test";
import { describeReply } from "../protocols/lmtp/reply.ts";
import { failed } from "./store-replies.ts";

const cases = [
  { code: "ENOSPC", text: "452 4.3.1 <a@x> No room for the message" },
  { code: "EDQUOT", text: "452 4.3.1 <a@x> No room for the message" },
  { code: "EIO", text: "451 4.3.0 <a@x> Message could not be stored (EIO)" },
  { code: "EACCES", text: "451 4.3.0 <a@x> Message could not be stored (EACCES)" },
];
for (const { code, text } of cases)
  test(`${code} delays mail`, () => {
    assert.equal(describeReply(failed("a@x", Object.assign(new Error("write failed"), { code }))), text);
  });

test("an error without a code delays mail", () => {
  assert.equal(describeReply(failed("a@x", new Error("odd"))), "451 4.3.0 <a@x> Message could not be stored");
});
