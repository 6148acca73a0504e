import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeReply } from "../protocols/lmtp/reply.ts";
import type { Route } from "../routing/route.ts";
import { routeReply } from "./route-reply.ts";

type Refusal = Exclude<Route, { kind: "deliver" }>;

const bytesOf = (route: Refusal): Buffer => Buffer.from(encodeReply(routeReply(route, "S")), "latin1");

test("what a sender or an operator wrote is one line of UTF-8, whatever its characters are", () => {
  // U+4E0A and U+4E0D end in the bytes of LF and CR.
  const userKey = "\u4e0a\u4e0d250 ok\u00fc";
  const source = { kind: "hold", owner: "admin", reason: "a\r\n250 b\u4e0a" } as const;
  const table = { kind: "table", table: "users", key: "k" } as const;
  const cases: readonly (readonly [Refusal, string])[] = [
    [{ kind: "hold", userKey, source }, `450 4.2.1 mail for ${userKey} is on hold (a 250 b\u4e0a), try again later`],
    [{ kind: "refuse", userKey, source: table }, `550 5.7.1 mail for ${userKey} is refused`],
    [
      { kind: "unknown", userKey, answer: "defer" },
      `451 4.1.1 ${userKey} is in no table and there is no fallback backend`,
    ],
    [{ kind: "unknown", userKey, answer: "reject" }, `550 5.1.1 user ${userKey} is unknown`],
    [
      { kind: "failed", userKey, source: table, reason: "no\nanswer" },
      `451 4.3.0 looking up ${userKey} failed: no answer`,
    ],
  ];
  for (const [route, text] of cases) assert.equal(bytesOf(route).toString(), `${text} (session S)\r\n`);
});
