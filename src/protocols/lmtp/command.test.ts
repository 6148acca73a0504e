import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandDecoder } from "./command-decoder.ts";
import type { Command } from "./command.ts";
import { describeReply } from "./reply.ts";

function describe(command: Command): string {
  switch (command.kind) {
    case "mail":
      return `mail <${command.sender.text}> ${[...command.parameters].map(([key, value]) => `${key}=${value}`).join(",")}`.trim();
    case "rcpt":
      return `rcpt <${command.recipient.text}> ${[...command.parameters].map(([key, value]) => `${key}=${value}`).join(",")}`.trim();
    case "broken":
      return `broken ${describeReply(command.reply).slice(0, 9)}`;
    case "answered":
      return describeReply(command.reply).slice(0, 9);
    case "lhlo":
      return `lhlo ${command.client}`;
    case "bdat":
      return `bdat ${command.bytes}${command.isLast ? " last" : ""}`;
    case "xforward":
      return `xforward ${[...command.attributes].map(([key, value]) => `${key}=${value}`).join(",")}`;
    case "data":
    case "rset":
    case "noop":
    case "quit":
      return command.kind;
  }
}

const cases: readonly (readonly [line: string, want: string])[] = [
  ["LHLO mx.example", "lhlo mx.example"],
  ["lhlo [IPv6:::1]", "lhlo [IPv6:::1]"],
  ["LHLO", "501 5.5.4"],
  ["HELO mx.example", "500 5.5.1"],
  ["EHLO mx.example", "500 5.5.1"],
  ["MAIL FROM:<>", "mail <>"],
  ["MAIL FROM:<a@b>", "mail <a@b>"],
  ["mail from: <a@b> size=12 body=8bitmime", "mail <a@b> SIZE=12,BODY=8bitmime"],
  ["MAIL FROM:<a@b> SMTPUTF8 RET=HDRS ENVID=x+2B1", "mail <a@b> SMTPUTF8=,RET=HDRS,ENVID=x+2B1"],
  ["MAIL FROM:<a@b> AUTH=<>", "mail <a@b> AUTH=<>"],
  ["MAIL FROM:<@r1,@r2:a@b>", "mail <a@b>"],
  ['MAIL FROM:<"a b"@c>', 'mail <"a b"@c>'],
  ['MAIL FROM:<"a>b"@c>', 'mail <"a>b"@c>'],
  ['MAIL FROM:<"a@b"@c>', 'mail <"a@b"@c>'],
  ['MAIL FROM:<"q\\"x"@c>', 'mail <"q\\"x"@c>'],
  ["MAIL FROM:<a@[192.0.2.1]>", "mail <a@[192.0.2.1]>"],
  ["MAIL FROM:<us\xc3\xa9r@b>", "mail <us\xc3\xa9r@b>"],
  ["MAIL FROM:<\xc3\xa0@b>", "mail <\xc3\xa0@b>"],
  ["MAIL FROM:a@b", "501 5.1.7"],
  ["MAIL FROM:<a@b", "501 5.1.7"],
  ["MAIL FROM:<a@b>x", "501 5.1.7"],
  ["MAIL FROM:<a b@c>", "501 5.1.7"],
  ["MAIL FROM:<a\r@c>", "501 5.1.7"],
  ["MAIL FROM:<a\0@c>", "501 5.1.7"],
  ["MAIL TO:<a@b>", "501 5.1.7"],
  ["MAIL FROM:<a@b> SIZE=x", "501 5.5.4"],
  ["MAIL FROM:<a@b> SIZE=1 SIZE=2", "501 5.5.4"],
  ["MAIL FROM:<a@b> =1", "501 5.5.4"],
  ["MAIL FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"],
  ["MAIL FROM:<a@b> HOLDFOR=5", "555 5.5.4"],
  ["RCPT TO:<a@b>", "rcpt <a@b>"],
  ["RCPT TO:<postmaster>", "rcpt <postmaster>"],
  ["RCPT TO:<A+x@B> ORCPT=rfc822;A+2Bx@B NOTIFY=NEVER", "rcpt <A+x@B> ORCPT=rfc822;A+2Bx@B,NOTIFY=NEVER"],
  ["RCPT TO:<>", "501 5.1.3"],
  ["RCPT TO:<a@b> SIZE=1", "555 5.5.4"],
  ["DATA", "data"],
  ["data ", "data"],
  ["DATA x", "501 5.5.4"],
  ["BDAT 10", "bdat 10"],
  ["bdat 0 last", "bdat 0 last"],
  ["BDAT", "broken 501 5.5.4"],
  ["BDAT\t5", "broken 501 5.5.4"],
  ["BDAT -1", "broken 501 5.5.4"],
  ["bdat5", "500 5.5.2"],
  ["BDAT 99999999999999999999", "broken 501 5.5.4"],
  [`MAIL FROM:<${"a".repeat(1001)}>`, "501 5.1.7"],
  [`RCPT TO:<a@b> ORCPT=${"a".repeat(1001)}`, "501 5.5.4"],
  ["RSET", "rset"],
  ["NOOP ignored words", "noop"],
  ["QUIT", "quit"],
  ["VRFY a", "252 2.1.5"],
  ["EXPN a", "502 5.5.1"],
  ["STARTTLS", "502 5.5.1"],
  ["AUTH PLAIN x", "502 5.5.1"],
  ["XFORWARD ADDR=192.0.2.1 ident=4A+2BB", "xforward ADDR=192.0.2.1,IDENT=4A+B"],
  ["XFORWARD NAME=a+0Ab", "501 5.5.4"],
  ["XFORWARD OTHER=1", "501 5.5.4"],
  ["XFORWARD", "501 5.5.4"],
  ["", "500 5.5.2"],
  ["\0\xff", "500 5.5.2"],
  [`NOOP ${"x".repeat(4100)}`, "500 5.5.2"],
];
for (const [line, want] of cases)
  for (const chunkBytes of [1, 3, line.length + 2])
    test(`${JSON.stringify(line.slice(0, 60))}, ${chunkBytes} at a time`, () => {
      const decoder = new CommandDecoder(4096);
      const bytes = Buffer.from(`${line}\r\nRSET\r\n`, "latin1");
      const seen: string[] = [];
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        decoder.push(bytes.subarray(at, at + chunkBytes));
        for (let command = decoder.next(); command !== undefined; command = decoder.next())
          seen.push(describe(command));
      }
      assert.deepEqual(seen, [want, "rset"]);
    });
