import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "../core/endpoint.ts";
import type { Route } from "../routing/route.ts";
import type { Login } from "./login.ts";
import { toLmtpPassdb, toLoginPassdb } from "./passdb.ts";
import type { LoginPlace } from "./places.ts";

const source = { kind: "fallback" } as const;
const found = (fields: Readonly<Record<string, string>>) => ({ kind: "found", value: JSON.stringify(fields) });
const CLOSED = found({ nopassword: "y", nologin: "y", reason: "This mailbox is closed" });

const go = (place: Partial<LoginPlace>): Login => ({
  kind: "go",
  userKey: "ada",
  backend: "old",
  place: { address: { host: "10.0.0.5", port: 143 }, tls: "none", ...place },
});
const master = { user: "mailshunt", password: "hunter2" };
const logins: readonly { name: string; login: Login; ip?: string; tellsMaster?: boolean; want: unknown }[] = [
  { name: "numeric", login: go({}), want: found({ nopassword: "y", proxy: "y", host: "10.0.0.5", port: "143" }) },
  {
    name: "a name, for the certificate, and its address",
    login: go({ address: { host: "imap.example", port: 993 }, tls: "implicit" }),
    want: found({ nopassword: "y", proxy: "y", host: "imap.example", hostip: "10.0.0.5", port: "993", ssl: "yes" }),
  },
  {
    name: "STARTTLS",
    login: go({ tls: "starttls" }),
    want: found({ nopassword: "y", proxy: "y", host: "10.0.0.5", port: "143", starttls: "yes" }),
  },
  {
    name: "IPv6",
    login: go({ address: { host: "fd00::5", port: 143 } }),
    ip: "fd00::5",
    want: found({ nopassword: "y", proxy: "y", host: "fd00::5", port: "143" }),
  },
  {
    name: "a master that nobody is told",
    login: go({ master }),
    want: found({ nopassword: "y", proxy: "y", host: "10.0.0.5", port: "143" }),
  },
  {
    name: "a master that is told",
    login: go({ master }),
    tellsMaster: true,
    want: found({ nopassword: "y", proxy: "y", host: "10.0.0.5", port: "143", master: "mailshunt", pass: "hunter2" }),
  },
  {
    name: "no master to be told",
    login: go({}),
    tellsMaster: true,
    want: found({ nopassword: "y", proxy: "y", host: "10.0.0.5", port: "143" }),
  },
  { name: "unknown", login: { kind: "unknown", userKey: "ada" }, want: { kind: "absent" } },
  { name: "refused", login: { kind: "refused", userKey: "ada" }, want: CLOSED },
  {
    name: "locked",
    login: { kind: "locked", userKey: "ada" },
    want: { kind: "failed", reason: "the mailbox of ada is being moved" },
  },
  {
    name: "failed",
    login: { kind: "failed", userKey: "ada", reason: "down" },
    want: { kind: "failed", reason: "down" },
  },
];
for (const { name, login, ip = "10.0.0.5", tellsMaster = false, want } of logins)
  test(`a login, ${name}`, () => assert.deepEqual(toLoginPassdb({ login, ip, tellsMaster }), want));

const tcp: Endpoint = { kind: "tcp", host: "127.0.0.1", port: 2424 };
const TO_US = found({ nopassword: "y", proxy: "y", protocol: "lmtp", host: "127.0.0.1", port: "2424" });
const mail: readonly { name: string; route: Route; want: unknown }[] = [
  {
    name: "delivered",
    route: { kind: "deliver", userKey: "ada", backend: "old", source },
    want: TO_US,
  },
  {
    name: "held",
    route: { kind: "hold", userKey: "ada", source: { kind: "hold", owner: "me", reason: "" } },
    want: { kind: "failed", reason: "ada is on hold" },
  },
  { name: "refused", route: { kind: "refuse", userKey: "ada", source }, want: TO_US },
  { name: "unknown", route: { kind: "unknown", userKey: "ada", answer: "reject" }, want: { kind: "absent" } },
  {
    name: "failed",
    route: { kind: "failed", userKey: "ada", source, reason: "down" },
    want: { kind: "failed", reason: "down" },
  },
];
for (const { name, route, want } of mail)
  test(`mail, ${name}`, () => assert.deepEqual(toLmtpPassdb(route, { kind: "proxy", listener: tcp }), want));

test("mail past us is refused by Dovecot", () => {
  const route: Route = { kind: "refuse", userKey: "ada", source };
  assert.deepEqual(toLmtpPassdb(route, { kind: "direct", backends: new Map() }), CLOSED);
});

test("mail to a unix socket cannot be told to Dovecot", () => {
  const route: Route = { kind: "deliver", userKey: "ada", backend: "old", source };
  const lmtp: Endpoint = { kind: "unix", path: "/run/lmtp" };
  assert.equal(toLmtpPassdb(route, { kind: "proxy", listener: lmtp }).kind, "failed");
  assert.equal(toLmtpPassdb(route, { kind: "direct", backends: new Map([["old", { lmtp }]]) }).kind, "failed");
  assert.equal(toLmtpPassdb(route, { kind: "proxy", listener: undefined }).kind, "failed");
});
