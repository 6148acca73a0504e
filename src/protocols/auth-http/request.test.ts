import assert from "node:assert/strict";
import { test } from "node:test";
import { isSameSecret, mailboxOf, readRequest } from "./request.ts";

const headers = (given: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(
    Object.entries({
      "auth-method": "plain",
      "auth-user": "ada@example.com",
      "auth-pass": "hunter2",
      "auth-protocol": "imap",
      "client-ip": "192.0.2.9",
      ...given,
    }).filter(([, value]) => value !== "(none)"),
  );

const users = [
  { sent: "ada@example.com", user: "ada@example.com" },
  { sent: "joe%20a@example.com", user: "joe a@example.com" },
  { sent: "a+b@example.com", user: "a+b@example.com" },
  { sent: "100%25@example.com", user: "100%@example.com" },
  { sent: "%2541", user: "%41" },
  { sent: "\xc3\xbc/:&\x7f", user: "\xc3\xbc/:&\x7f" },
  { sent: "%0D%0AAuth-Status:%20OK%00", user: "\r\nAuth-Status: OK\0" },
  { sent: "%0d%0A", user: "\r\n" },
];
for (const { sent, user } of users)
  test(`Auth-User ${JSON.stringify(sent)}`, () =>
    assert.deepEqual(readRequest(headers({ "auth-user": sent })), {
      kind: "login",
      service: "imap",
      user,
      client: "192.0.2.9",
    }));

const kinds = [
  { name: "pop3", given: { "auth-protocol": "pop3" }, want: "login" },
  { name: "smtp", given: { "auth-protocol": "smtp" }, want: "login" },
  { name: "a client's certificate", given: { "auth-method": "external", "auth-pass": "" }, want: "login" },
  { name: "apop", given: { "auth-protocol": "pop3", "auth-method": "apop" }, want: "unanswerable" },
  { name: "cram-md5", given: { "auth-method": "cram-md5" }, want: "unanswerable" },
  {
    name: "smtp_auth none",
    given: { "auth-protocol": "smtp", "auth-method": "none", "auth-user": "" },
    want: "unanswerable",
  },
  { name: "a method that we do not know", given: { "auth-method": "xoauth2" }, want: "unanswerable" },
  { name: "another protocol", given: { "auth-protocol": "nntp" }, want: "malformed" },
  { name: "no protocol", given: { "auth-protocol": "(none)" }, want: "malformed" },
  { name: "no method", given: { "auth-method": "(none)" }, want: "malformed" },
  { name: "no user", given: { "auth-user": "(none)" }, want: "malformed" },
  { name: "an empty user", given: { "auth-user": "" }, want: "malformed" },
  { name: "half an escape", given: { "auth-user": "ada%4" }, want: "malformed" },
  { name: "an escape that is none", given: { "auth-user": "ada%zz" }, want: "malformed" },
];
for (const { name, given, want } of kinds)
  test(`${name}: ${want}, and no password in what comes of it`, () => {
    const request = readRequest(headers(given));
    assert.equal(request.kind, want);
    assert.doesNotMatch(JSON.stringify(request), /hunter2/);
  });

const names = [
  { user: "ada*admin", separator: "*", mailbox: "ada" },
  { user: "ada@example.com*admin@example.com", separator: "*", mailbox: "ada@example.com" },
  { user: "ada*admin", separator: "", mailbox: "ada*admin" },
  { user: "*admin", separator: "*", mailbox: "*admin" },
  { user: "ada--admin", separator: "--", mailbox: "ada" },
  { user: "ada", separator: "*", mailbox: "ada" },
];
for (const { user, separator, mailbox } of names)
  test(`${user} with the separator "${separator}" logs in to ${mailbox}`, () =>
    assert.equal(mailboxOf(user, separator), mailbox));

test("a secret is compared as bytes, and as a whole", () => {
  assert.ok(isSameSecret("s3cret", "s3cret"));
  assert.ok(isSameSecret("\xc3\xbc", "ü"));
  for (const other of [undefined, "", "s3cre", "s3crett", "S3cret", "ü"]) assert.ok(!isSameSecret(other, "s3cret"));
  assert.ok(!isSameSecret(undefined, ""));
});
