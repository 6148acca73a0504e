import assert from "node:assert/strict";
import { test } from "node:test";
import type { Route } from "../routing/route.ts";
import { toBackendName, toLoginAddress } from "./location.ts";
import { findLogin } from "./login.ts";
import type { Backends } from "./places.ts";

const source = { kind: "fallback" } as const;
const imap = { address: { host: "10.0.0.5", port: 143 }, tls: "none" } as const;
const backends: Backends = new Map([
  [
    "old",
    { lmtp: { kind: "unix", path: "/old" }, imap, submission: { ...imap, address: { host: "fd00::5", port: 587 } } },
  ],
]);
const failed = (reason: string) => ({ kind: "failed", reason });

const cases: readonly { route: Route; isLocked?: boolean; backend: unknown; address: unknown }[] = [
  {
    route: { kind: "deliver", userKey: "ada", backend: "old", source },
    backend: { kind: "found", value: "old" },
    address: { kind: "found", value: "10.0.0.5:143" },
  },
  {
    route: { kind: "deliver", userKey: "ada", backend: "old", source },
    isLocked: true,
    backend: { kind: "found", value: "old" },
    address: failed("the mailbox of ada is being moved"),
  },
  {
    route: { kind: "deliver", userKey: "ada", backend: "gone", source },
    backend: { kind: "found", value: "gone" },
    address: failed('backend gone has no "imap" in the configuration'),
  },
  {
    route: { kind: "hold", userKey: "ada", source },
    backend: failed("ada is on hold"),
    address: failed("ada is on hold, and nobody says in which backend"),
  },
  { route: { kind: "refuse", userKey: "ada", source }, backend: { kind: "absent" }, address: { kind: "absent" } },
  {
    route: { kind: "unknown", userKey: "ada", answer: "reject" },
    isLocked: true,
    backend: { kind: "absent" },
    address: { kind: "absent" },
  },
  {
    route: { kind: "failed", userKey: "ada", source, reason: "down" },
    backend: failed("down"),
    address: failed("down"),
  },
];
for (const { route, isLocked = false, backend, address } of cases)
  test(`${route.kind}${isLocked ? ", locked" : ""}`, () => {
    assert.deepEqual(toBackendName(route), backend);
    assert.deepEqual(toLoginAddress(findLogin({ route, isLocked }, "imap", backends)), address);
  });

test("each service has its own address, and one that is not there makes logins wait", () => {
  const route: Route = { kind: "deliver", userKey: "ada", backend: "old", source };
  const addressOf = (service: "pop3" | "submission") =>
    toLoginAddress(findLogin({ route, isLocked: false }, service, backends));
  assert.deepEqual(addressOf("submission"), { kind: "found", value: "[fd00::5]:587" });
  assert.deepEqual(addressOf("pop3"), failed('backend old has no "pop3" in the configuration'));
});
