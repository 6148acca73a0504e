import assert from "node:assert/strict";
import { test } from "node:test";
import type { OutsideAuthority } from "./moves/tools.ts";
import { describeConflict, findOutsideAuthority } from "./outside-authority.ts";
import type { Asked } from "./outside-authority.ts";
import { DEFAULT_GUARD } from "./tables/options.ts";
import { ABSENT, DONE, found } from "./tables/table.ts";
import type { Answer, Change, Table, WriteOutcome } from "./tables/table.ts";

const USERS = "users";

interface Outside {
  /** What the table has past its cache, and what one that is asked before it has. */
  users: Answer;
  before: Answer;
  outcome: WriteOutcome;
  readonly asked: string[];
  readonly written: Change[];
  readonly forgotten: string[];
}

function given(routing: Partial<Asked["config"]["routing"]> = {}, settleMs = 60_000): Outside & OutsideAuthority {
  const outside: Outside = { users: ABSENT, before: ABSENT, outcome: DONE, asked: [], written: [], forgotten: [] };
  const ask =
    (name: "before" | "users") =>
    (key: string): Answer => {
      outside.asked.push(`${name} ${key}`);
      return outside[name];
    };
  const users: Table = {
    name: USERS,
    lookup: () => found(["from the cache"]),
    lookupPastCache: ask("users"),
    write(changes) {
      outside.written.push(...changes);
      return Promise.resolve(outside.outcome);
    },
  };
  const guard = { ...DEFAULT_GUARD, timeoutMs: 5_000 };
  const common = { key: undefined, value: undefined, cache: undefined, guard };
  const asked: Asked = {
    config: {
      backends: new Set(["old", "new"]),
      drain: { settleMs, graceMs: 0, timeoutMs: 0 },
      tables: new Map([[USERS, { common }]]),
      routing: {
        key: "address",
        recipientDelimiter: "+",
        tables: ["before", USERS],
        authority: USERS,
        fallback: "old",
        unknown: "reject",
        ...routing,
      },
    },
    tables: {
      exact: new Map([USERS, "before"].map((name) => [name, name === USERS ? users : { name, lookup: ask("before") }])),
    },
  };
  const authority = findOutsideAuthority(
    () => asked,
    (table, key) => void outside.forgotten.push(`${table} ${key}`),
  );
  assert.ok(authority !== undefined);
  return Object.assign(outside, authority);
}

const DOWN: Answer = { kind: "failed", reason: "down" };

const reads: readonly [before: Answer, users: Answer, read: Awaited<ReturnType<OutsideAuthority["read"]>>][] = [
  [ABSENT, found(["old"]), { kind: "found", backend: "old" }],
  [ABSENT, found(["nowhere"]), { kind: "found", backend: "nowhere" }],
  [ABSENT, found(["hold"]), { kind: "found", backend: "hold" }],
  [ABSENT, found(["old", "new"]), { kind: "found", backend: "old,new" }],
  [ABSENT, ABSENT, { kind: "absent" }],
  [ABSENT, DOWN, { kind: "failed", reason: "down" }],
  [DOWN, found(["old"]), { kind: "failed", reason: "table before, which is asked before it: down" }],
  [
    found(["old"]),
    found(["old"]),
    { kind: "failed", reason: "table before is asked before users and knows the user: take the user out of it" },
  ],
];
for (const [before, users, read] of reads)
  test(`read where the table before says ${JSON.stringify(before)}, and it ${JSON.stringify(users)}`, async () => {
    const outside = Object.assign(given(), { before, users });
    assert.deepEqual(await outside.read("ann@b.example"), read);
    assert.equal(outside.asked[0], "before ann@b.example");
  });

test("it is asked and written by the user key, whatever that looks like", async () => {
  for (const [key, user] of [
    ["address", "ann@b.example"],
    ["localpart", "ann"],
    ["localpart", "a@b"],
    ["localpart", "a b"],
    ["address", "müller@b.example"],
  ] as const) {
    const outside = given({ key, tables: [USERS] });
    await outside.read(user);
    assert.deepEqual(outside.asked, [`users ${user}`]);
    await outside.write(user, "new");
    assert.deepEqual(outside.written, [{ kind: "set", key: user, value: "new" }]);
    await outside.forget(user);
    assert.deepEqual(outside.forgotten, [`users ${user}`]);
  }
  const reason = "no address leads to this user";
  assert.deepEqual(await given().read("ann+x@b.example"), { kind: "failed", reason });
});

for (const [outcome, write] of [
  [DONE, { kind: "written" }],
  [{ kind: "absent" }, { kind: "refused", reason: "there is no such key" }],
  [
    { kind: "failed", reason: "no" },
    { kind: "refused", reason: "no" },
  ],
  [
    { kind: "uncertain", reason: "gone" },
    { kind: "unknown", reason: "gone" },
  ],
] as const)
  test(`a write that is ${outcome.kind}`, async () => {
    assert.deepEqual(await Object.assign(given(), { outcome }).write("ann@b.example", "new"), write);
  });

test("no write is under way when both the drain's and the table's time are over", () => {
  assert.equal(given().settleMs, 60_000);
  assert.equal(given({}, 1_000).settleMs, 5_000);
});

test("an entry of the directory is in the way only where it says something else", async () => {
  const route = { kind: "deliver", userKey: "ann@b.example", backend: "old", source: { kind: "directory" } } as const;
  const outside = given();
  const conflict = (): Promise<string | undefined> => describeConflict("ann@b.example", route, outside);
  assert.equal(await conflict(), undefined);
  outside.users = found(["old"]);
  assert.equal(await conflict(), undefined);
  outside.users = found(["new"]);
  assert.match(
    (await conflict()) ?? "",
    /table users says "new", but an entry of the directory overrules it with "old"/,
  );
  assert.equal(await describeConflict("ann@b.example", { ...route, source: { kind: "fallback" } }, outside), undefined);
  assert.equal(await describeConflict("ann@b.example", route, undefined), undefined);
  outside.users = DOWN;
  assert.equal(await conflict(), "table users: down");
});
