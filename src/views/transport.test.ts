import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint } from "../core/endpoint.ts";
import type { Route } from "../routing/route.ts";
import { toTransport } from "./transport.ts";

const source = { kind: "fallback" } as const;
const tcp = (host: string, port: number): Endpoint => ({ kind: "tcp", host, port });
const unix = (path: string): Endpoint => ({ kind: "unix", path });
const delivered: Route = { kind: "deliver", userKey: "ada", backend: "old", source };
const found = (value: string) => ({ kind: "found", value });

const listeners = [
  { listener: unix("/run/mailshunt/lmtp"), value: "lmtp:unix:/run/mailshunt/lmtp" },
  { listener: unix("mailshunt/lmtp"), value: "lmtp:unix:mailshunt/lmtp" },
  { listener: tcp("127.0.0.1", 2424), value: "lmtp:inet:127.0.0.1:2424" },
  { listener: tcp("mail.example", 24), value: "lmtp:inet:mail.example:24" },
  { listener: tcp("::1", 2424), value: "lmtp:inet:[::1]:2424" },
];
for (const { listener, value } of listeners)
  test(value, () => assert.deepEqual(toTransport(delivered, { kind: "proxy", listener }), found(value)));

const others: readonly { name: string; route: Route; want: unknown }[] = [
  {
    name: "a hold with a reason",
    route: { kind: "hold", userKey: "ada", source: { kind: "hold", owner: "move:1", reason: "moving to new" } },
    want: found("retry:4.2.1 ada is on hold: moving to new, try again later"),
  },
  {
    name: "a hold of a table",
    route: { kind: "hold", userKey: "ada", source: { kind: "table", table: "users", key: "ada" } },
    want: found("retry:4.2.1 ada is on hold, try again later"),
  },
  {
    name: "a reason of several lines",
    route: { kind: "hold", userKey: "ada", source: { kind: "hold", owner: "me", reason: "a\r\nb\u2028c\0" } },
    want: found("retry:4.2.1 ada is on hold: a b c , try again later"),
  },
  {
    name: "refused",
    route: { kind: "refuse", userKey: "ada", source },
    want: found("error:5.7.1 mail for ada is refused"),
  },
  { name: "unknown", route: { kind: "unknown", userKey: "ada", answer: "defer" }, want: { kind: "absent" } },
  { name: "unknown for good", route: { kind: "unknown", userKey: "ada", answer: "reject" }, want: { kind: "absent" } },
  {
    name: "failed",
    route: { kind: "failed", userKey: "ada", source, reason: "table users: down" },
    want: { kind: "failed", reason: "table users: down" },
  },
];
for (const { name, route, want } of others)
  test(name, () => assert.deepEqual(toTransport(route, { kind: "proxy", listener: unix("/run/lmtp") }), want));

test("directly to the store, where that is asked for", () => {
  const backends = new Map([["old", { lmtp: tcp("10.0.0.1", 24) }]]);
  assert.deepEqual(toTransport(delivered, { kind: "direct", backends }), found("lmtp:inet:10.0.0.1:24"));
  const atUnix = new Map([["old", { lmtp: unix("/var/imap/socket/lmtp") }]]);
  assert.deepEqual(
    toTransport(delivered, { kind: "direct", backends: atUnix }),
    found("lmtp:unix:/var/imap/socket/lmtp"),
  );
});

test("with no listener it cannot be told, and the store is not told instead", () =>
  assert.equal(toTransport(delivered, { kind: "proxy", listener: undefined }).kind, "failed"));
