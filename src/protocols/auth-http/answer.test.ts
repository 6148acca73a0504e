import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeAnswer, encodeRejection, MAX_ANSWER_BYTES } from "./answer.ts";

const go = { kind: "go", ip: "10.0.0.5", port: 143 } as const;
const MOVING = "Your mailbox is being moved, try again in a few minutes";
const cases = [
  { service: "imap", answer: go, want: "Auth-Status: OK\r\nAuth-Server: 10.0.0.5\r\nAuth-Port: 143\r\n" },
  {
    service: "submission",
    answer: { kind: "go", ip: "fd00::1", port: 65535 },
    want: "Auth-Status: OK\r\nAuth-Server: fd00::1\r\nAuth-Port: 65535\r\n",
  },
  {
    service: "imap",
    answer: { kind: "credentials" },
    want: "Auth-Status: [AUTHENTICATIONFAILED] Authentication failed\r\nAuth-Wait: 3\r\n",
  },
  {
    service: "imap",
    answer: { kind: "closed" },
    want: "Auth-Status: [CONTACTADMIN] This mailbox is closed\r\nAuth-Wait: 3\r\n",
  },
  { service: "imap", answer: { kind: "moving" }, want: `Auth-Status: [UNAVAILABLE] ${MOVING}\r\nAuth-Wait: 3\r\n` },
  {
    service: "imap",
    answer: { kind: "temporary" },
    want: "Auth-Status: [UNAVAILABLE] Temporary failure, try again later\r\nAuth-Wait: 3\r\n",
  },
  {
    service: "pop3",
    answer: { kind: "credentials" },
    want: "Auth-Status: [AUTH] Authentication failed\r\nAuth-Wait: 3\r\n",
  },
  {
    service: "pop3",
    answer: { kind: "closed" },
    want: "Auth-Status: [SYS/PERM] This mailbox is closed\r\nAuth-Wait: 3\r\n",
  },
  { service: "pop3", answer: { kind: "moving" }, want: `Auth-Status: [SYS/TEMP] ${MOVING}\r\nAuth-Wait: 3\r\n` },
  {
    service: "submission",
    answer: { kind: "credentials" },
    want: "Auth-Status: Authentication failed\r\nAuth-Error-Code: 535 5.7.8\r\nAuth-Wait: 3\r\n",
  },
  {
    service: "submission",
    answer: { kind: "closed" },
    want: "Auth-Status: This mailbox is closed\r\nAuth-Error-Code: 525 5.7.13\r\nAuth-Wait: 3\r\n",
  },
  {
    service: "submission",
    answer: { kind: "moving" },
    want: `Auth-Status: ${MOVING}\r\nAuth-Error-Code: 454 4.7.0\r\nAuth-Wait: 3\r\n`,
  },
  {
    service: "submission",
    answer: { kind: "temporary" },
    want: "Auth-Status: Temporary failure, try again later\r\nAuth-Error-Code: 454 4.7.0\r\nAuth-Wait: 3\r\n",
  },
] as const;
for (const { service, answer, want } of cases)
  test(`${service} ${answer.kind}`, () => {
    const bytes = encodeAnswer(service, answer);
    assert.equal(bytes.toString("latin1"), `HTTP/1.0 200 OK\r\n${want}\r\n`);
    assert.ok(bytes.length <= MAX_ANSWER_BYTES);
  });

test("what is no request gets no Auth-Status", () => {
  assert.equal(encodeRejection("403 Forbidden").toString(), "HTTP/1.0 403 Forbidden\r\n\r\n");
  assert.equal(encodeRejection("400 Bad Request").toString(), "HTTP/1.0 400 Bad Request\r\n\r\n");
});
