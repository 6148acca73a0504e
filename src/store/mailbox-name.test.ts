import assert from "node:assert/strict";
import test from "node:test";
import { mailboxName } from "./mailbox-name.ts";

const cases = [
  { address: "User1@Example.com", localpart: "user1", whole: "user1@example.com" },
  { address: "user1+detail+more@example.com", localpart: "user1", whole: "user1@example.com" },
  { address: "+detail@x", localpart: "+detail", whole: "+detail@x" },
  { address: "Postmaster", localpart: "postmaster", whole: "postmaster" },
  { address: '"odd user"@x', localpart: "odd user", whole: "odd user@x" },
  { address: '"a\\"b@c"@x', localpart: 'a"b@c', whole: 'a"b@c@x' },
  { address: '"../../etc/passwd"@x', localpart: "%2e.%2f..%2fetc%2fpasswd", whole: "%2e.%2f..%2fetc%2fpasswd@x" },
  { address: "..@x", localpart: "%2e.", whole: "%2e.@x" },
  { address: ".spool@x", localpart: "%2espool", whole: "%2espool@x" },
  { address: "a/b@x", localpart: "a%2fb", whole: "a%2fb@x" },
  { address: "a%2fb@x", localpart: "a%252fb", whole: "a%252fb@x" },
  { address: "us\xc3\x89r@x", localpart: "usér", whole: "usér@x" },
  { address: "a@[IPv6:::1]", localpart: "a", whole: "a@[ipv6:::1]" },
  { address: '""@x', localpart: undefined, whole: undefined },
  { address: `${"l".repeat(256)}@x`, localpart: undefined, whole: undefined },
  { address: `${"l".repeat(255)}@x`, localpart: "l".repeat(255), whole: undefined },
];
for (const { address, localpart, whole } of cases)
  test(`the folder of ${address.slice(0, 40)}`, () => {
    assert.equal(mailboxName(address, { key: "localpart", recipientDelimiter: "+" }), localpart);
    assert.equal(mailboxName(address, { key: "address", recipientDelimiter: "+" }), whole);
  });

test("without a delimiter extensions stay", () => {
  assert.equal(mailboxName("a+b@x", { key: "localpart", recipientDelimiter: "" }), "a+b");
});
