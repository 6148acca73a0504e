import assert from "node:assert/strict";
import test from "node:test";
import { MaildirContent } from "./maildir-content.ts";

const cases = [
  { wire: "", file: "" },
  { wire: "a: b\r\n\r\nc\r\n", file: "a: b\n\nc\n" },
  { wire: "..\r\n...\r\n..a\r\na.\r\n", file: ".\n..\n.a\na.\n" },
  { wire: "\r\n\r\n..\r\n", file: "\n\n.\n" },
  { wire: "8-bit \xff\x80\x00\r\n", file: "8-bit \xff\x80\x00\n" },
];
for (const { wire, file } of cases)
  for (const chunkBytes of [1, 2, 3, wire.length + 1])
    test(`${JSON.stringify(wire)}, ${chunkBytes} at a time`, () => {
      const content = new MaildirContent();
      let seen = "";
      for (let at = 0; at < wire.length; at += chunkBytes)
        seen += content.feed(Buffer.from(wire.slice(at, at + chunkBytes), "latin1")).toString("latin1");
      assert.equal(seen, file);
    });
