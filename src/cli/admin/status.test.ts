import assert from "node:assert/strict";
import { test } from "node:test";
import { count, formatAge, formatTable, formatTime, shown } from "./format.ts";
import { formatStatus } from "./status.ts";
import type { HoldState, Status } from "./status.ts";

const AGES = [
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1.0 s"],
  [59_949, "59.9 s"],
  [59_951, "1 min"],
  [3_569_000, "59 min"],
  [3_600_000, "1.0 h"],
  [86_000_000, "23.9 h"],
  [86_400_000, "1.0 d"],
  [864_000_000, "10.0 d"],
] as const;
for (const [ms, text] of AGES) test(`${ms} ms are ${text}`, () => assert.equal(formatAge(ms), text));

test("times are local, and without the date where it is today's", () => {
  const at = new Date(2027, 0, 5, 3, 4, 9);
  assert.equal(formatTime(at.toISOString(), new Date(2027, 0, 5, 23, 59, 59)), "03:04:09");
  assert.equal(formatTime(at.toISOString(), new Date(2027, 0, 6, 0, 0, 0)), "2027-01-05 03:04:09");
});

test("one is singular, everything else plural", () => {
  assert.deepEqual(
    [0, 1, 2].map((amount) => count(amount, "session")),
    ["0 sessions", "1 session", "2 sessions"],
  );
  assert.equal(count(2, "delivery", "deliveries"), "2 deliveries");
});

test("columns are as wide as they need, and nothing trails", () => {
  assert.equal(formatTable([["a", "bb", ""], ["grüße", "", "x"], ["c"]]), "a      bb\ngrüße      x\nc\n");
  assert.equal(formatTable([]), "");
});

test("what others wrote moves no cursor", () => assert.equal(shown("a\u001b[2J\n\u202eb\u00fc"), "a?[2J??b\u00fc"));

const NOW = new Date(2027, 0, 5, 3, 0, 0);
const at = (minutes: number): string => new Date(NOW.getTime() + minutes * 60_000).toISOString();

const STATUS: Status = {
  version: "1.2.3",
  pid: 4711,
  uptime_ms: 7_200_000,
  configuration: "/etc/mailshunt/mailshunt.yaml",
  reloads: 1,
  listeners: [
    { protocol: "lmtp", address: "unix:/var/spool/postfix/mailshunt/lmtp", connections: 20 },
    { protocol: "socketmap", address: "127.0.0.1:2500", connections: 1 },
    { protocol: "admin", address: "unix:/run/mailshunt/admin", connections: 1 },
  ],
  backends: [
    { name: "cyrus-old", lmtp: "unix:/run/cyrus/socket/lmtp", state: "up", sessions: { open: 12, idle: 1 } },
    {
      name: "dovecot",
      lmtp: "mail-store-2.example.com:2424",
      state: "down",
      trouble: "connect ECONNREFUSED 10.0.0.2:2424, tried again in 30 s",
      sessions: { open: 1, idle: 0 },
    },
  ],
  deliveries: {
    under_way: 12,
    parked: 2,
    oldest: [
      { user: "ada.lovelace@example.com", session: "4F2A91C03B", backend: "cyrus-old", stage: "dot", age_ms: 61_000 },
      { user: "bob@example.com", session: "4F2A91C03C", stage: "asking", age_ms: 12 },
    ],
  },
  holds: 12,
  users: { "cyrus-old": 118_204, gone: 1 },
};

const HOLDS: readonly HoldState[] = [
  { user: "ada.lovelace@example.com", owner: "admin", reason: "final copy", deadline: at(12), age_ms: 180_000 },
  { user: "bob@example.com", owner: "move:m1", reason: "", deadline: at(30), age_ms: 900 },
];

test("status is read at 80 columns, and what is wrong stands out", () => {
  const text = formatStatus(STATUS, HOLDS, NOW);
  assert.equal(
    text,
    `mailshunt 1.2.3, process 4711, up for 2.0 h, 1 reload
configuration /etc/mailshunt/mailshunt.yaml
listeners:
  lmtp       20 clients  unix:/var/spool/postfix/mailshunt/lmtp
  socketmap  1 client    127.0.0.1:2500
  admin      1 client    unix:/run/mailshunt/admin
backends:
  cyrus-old  up    11 busy, 1 idle  118204 users  unix:/run/cyrus/socket/lmtp
  dovecot    DOWN  1 busy, 0 idle   0 users       mail-store-2.example.com:2424
      connect ECONNREFUSED 10.0.0.2:2424, tried again in 30 s
  gone  MISSING: 1 user in the directory, mail deferred
deliveries: 12 under way, 2 parked
  4F2A91C03B  1 min  waits for the store  ada.lovelace@example.com to cyrus-old
  4F2A91C03C  12 ms  asks                 bob@example.com to -
  and 10 more
holds: 12
  ada.lovelace@example.com  3 min   until 03:12:00  by admin: final copy
  bob@example.com           900 ms  until 03:30:00  by move:m1
  and 10 more
`,
  );
  for (const line of text.split("\n")) assert.ok([...line].length <= 80 && !line.endsWith(" "), line);
});

test("a configuration that is not in effect cannot be overlooked", () => {
  const reasons = ['/etc/mailshunt/mailshunt.yaml:18:1: unknown key "routnig"'];
  const text = formatStatus({ ...STATUS, failed_reload: { number: 5, reasons } }, HOLDS, NOW);
  assert.equal(
    text.slice(text.indexOf("configuration"), text.indexOf("listeners")),
    `configuration /etc/mailshunt/mailshunt.yaml
  NOT IN EFFECT: reload 5 failed, what was in effect before stays
    /etc/mailshunt/mailshunt.yaml:18:1: unknown key "routnig"
`,
  );
});

test("a daemon that has nothing to tell has a short status", () => {
  const { holds: _holds, users: _users, ...others } = STATUS;
  const bare = {
    ...others,
    reloads: 0,
    listeners: [],
    backends: [],
    deliveries: { under_way: 0, parked: 0, oldest: [] },
  };
  assert.equal(
    formatStatus(bare, []),
    `mailshunt 1.2.3, process 4711, up for 2.0 h, 0 reloads
configuration /etc/mailshunt/mailshunt.yaml
deliveries: 0 under way, 0 parked
`,
  );
});
