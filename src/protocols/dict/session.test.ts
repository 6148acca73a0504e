import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandDecoder } from "./command-decoder.ts";
import type { DictCommand } from "./command.ts";
import { INITIAL_STATE, onCommand, type DictAction } from "./session.ts";
import { MAX_CHANGES_PER_TRANSACTION, MAX_HELD_UNITS, MAX_TRANSACTIONS } from "./transactions.ts";

/** What a session does about what a client sends, however it was cut. */
function play(input: string, chunkBytes = input.length): DictAction[] {
  const decoder = new CommandDecoder();
  const actions: DictAction[] = [];
  let state = INITIAL_STATE;
  for (let at = 0; at < input.length; at += chunkBytes) {
    decoder.push(Buffer.from(input.slice(at, at + chunkBytes), "latin1"));
    for (let command = decoder.next(); command !== undefined; command = decoder.next()) {
      const step = onCommand(state, command);
      state = step.state;
      actions.push(...step.actions);
    }
  }
  return actions;
}

/** On one line: the dialogs below are easier to read so. */
function describe(action: DictAction): string {
  switch (action.kind) {
    case "open":
      return `open ${action.dictName}${action.takesSeveralValues ? " (M)" : ""}`;
    case "lookup":
      return `lookup ${action.key} for ${action.user}`;
    case "iterate": {
      const flags = Object.entries<boolean>({ ...action.flags }).flatMap(([name, isSet]) => (isSet ? [name] : []));
      return `iterate ${action.paths.join(" ")} for ${action.user}, at most ${action.maxRows}, ${flags.join(" ")}`;
    }
    case "commit": {
      const changes = action.changes.map((change) => {
        const value = change.kind === "increment" ? change.by : "value" in change ? change.value : "";
        return `${change.kind} ${change.key} ${value}`.trimEnd();
      });
      const { timestamp } = action;
      const time = timestamp === undefined ? "" : ` at ${timestamp.seconds}.${timestamp.nanoseconds}`;
      const expiry = action.expireSeconds === 0 ? "" : ` until ${action.expireSeconds}`;
      const marks = `${action.isAsync ? " async" : ""}${action.hidesValues ? " hidden" : ""}`;
      return `commit ${action.id} for ${action.user}${time}${expiry}${marks}: ${changes.join(", ")}`;
    }
    case "reply":
      return `reply ${action.text}`;
    case "close":
      return `close: ${action.reason}`;
  }
}

const V2 = "H2\t2\t0\tbob\td\n";
const V3 = "H3\t2\t0\t\td\n";
const V4 = "H4\t0\t0\t\td\n";
const OPEN = "open d (M)";

const dialogs: { name: string; input: string; want: string[] }[] = [
  {
    name: "2.2: the user of the handshake, several paths, APPEND",
    input: `${V2}Lpriv/a\nI3\t5\tpriv/a/\tshared/b/\nB1\nP1\tpriv/a\tx\nT1\t1700000000\t7\nC1\n`,
    want: [
      OPEN,
      "lookup priv/a for bob",
      "iterate priv/a/ shared/b/ for bob, at most 5, isRecursive sortsByKey",
      "commit 1 for bob at 1700000000.7: append priv/a x",
    ],
  },
  {
    name: "2.2.13 to 2.2.30: no M",
    input: "H2\t1\t0\tbob\td\nLpriv/a\n",
    want: ["open d", "lookup priv/a for bob"],
  },
  {
    name: "2.3: doveadm's dict set",
    input: `${V3}B1\tbob\nS1\tpriv/z\ta\x01tb\nC1\n`,
    want: [OPEN, "commit 1 for bob: set priv/z a\tb"],
  },
  {
    name: "2.3: quota, hidden and asynchronous",
    input: `${V3}B1\tu@d\nV1\tyes\nA1\tpriv/quota/storage\t-12\nU1\tpriv/quota/x\nD1\n`,
    want: [OPEN, "commit 1 for u@d async hidden: increment priv/quota/storage -12, unset priv/quota/x"],
  },
  {
    name: "2.3: two commands on one connection",
    input: `${V3}I9\t0\tpriv/g/\tu@d\nI25\t0\tshared/g/\t\n`,
    want: [
      OPEN,
      "iterate priv/g/ for u@d, at most Infinity, isRecursive omitsValues",
      "iterate shared/g/ for , at most Infinity, isRecursive omitsValues isExactKey",
    ],
  },
  {
    name: "2.4: an expiry, and values hidden no more",
    input: `${V4}B1\tu@d\t60\nV1\tyes\nV1\tno\nS1\tshared/last-login/u@d\t1795184904\nC1\n`,
    want: [OPEN, "commit 1 for u@d until 60: set shared/last-login/u@d 1795184904"],
  },
  {
    name: "transactions side by side, one of them rolled back, an id used again",
    input: `${V4}B1\t\nB2\t\nS1\tshared/a\t1\nS2\tshared/b\t2\nB3\tu\nR1\nS3\tpriv/c\t3\nLshared/a\t\nC3\nC2\nB1\t\nC1\n`,
    want: [
      OPEN,
      "lookup shared/a for ",
      "commit 3 for u: set priv/c 3",
      "commit 2 for : set shared/b 2",
      "commit 1 for : ",
    ],
  },
];
for (const { name, input, want } of dialogs)
  for (const chunkBytes of [1, 2, 3, input.length])
    test(`${name}, ${chunkBytes} at a time`, () => assert.deepEqual(play(input, chunkBytes).map(describe), want));

const faults: { name: string; line: string; reason: string }[] = [
  { name: "what is malformed", line: "X", reason: 'unknown command "X"' },
  { name: "a second handshake", line: "H3\t2\t0\t\td", reason: "a second handshake" },
  { name: "a user's key without a user", line: "Lpriv/a\t", reason: 'key "priv/a" without a user' },
  { name: "a user's path without a user", line: "I0\t0\tpriv/\t", reason: 'key "priv/" without a user' },
  { name: "no such kind of key", line: "Lfoo\t", reason: 'key "foo" begins neither with priv/ nor with shared/' },
  { name: "no key", line: "L", reason: 'key "" begins neither with priv/ nor with shared/' },
  {
    name: "half a prefix",
    line: "I0\t0\tshared\tu",
    reason: 'key "shared" begins neither with priv/ nor with shared/',
  },
  { name: "an id in use", line: "B1\t", reason: "transaction 1 has begun before" },
  { name: "a user's change without a user", line: "S1\tpriv/a\tx", reason: 'key "priv/a" without a user' },
  { name: "a change of no key", line: "U1\ta", reason: 'key "a" begins neither with priv/ nor with shared/' },
  { name: "a change to nothing", line: "S2\tshared/a\tx", reason: "no transaction 2 has begun" },
  { name: "an unset in nothing", line: "U2\tshared/a", reason: "no transaction 2 has begun" },
  { name: "an increment in nothing", line: "A2\tshared/a\t1", reason: "no transaction 2 has begun" },
  { name: "an append to nothing", line: "P2\tshared/a\t1", reason: "no transaction 2 has begun" },
  { name: "a time for nothing", line: "T2\t1\t1", reason: "no transaction 2 has begun" },
  { name: "a mark for nothing", line: "V2\tyes", reason: "no transaction 2 has begun" },
  { name: "a commit of nothing", line: "C2", reason: "no transaction 2 has begun" },
  { name: "an asynchronous commit of nothing", line: "D2", reason: "no transaction 2 has begun" },
  { name: "a rollback of nothing", line: "R2", reason: "no transaction 2 has begun" },
];
for (const { name, line, reason } of faults)
  test(`${name} closes, after what came before`, () => {
    const actions = play(`${V3}Lshared/a\t\nB1\t\n${line}\nLshared/b\t\nC1\n`);
    assert.deepEqual(actions.map(describe), [OPEN, "lookup shared/a for ", `close: ${reason}`]);
  });

test("a transaction that has ended is no more", () => {
  const start = `${V3}B1\t\nS1\tshared/a\tx\n`;
  const end = "close: no transaction 1 has begun";
  assert.equal(play(`${start}C1\nC1\n`).map(describe).at(-1), end);
  assert.equal(play(`${start}R1\nS1\tshared/a\ty\n`).map(describe).at(-1), end);
});

test("one bad path of several closes", () => {
  assert.deepEqual(play(`H2\t2\t0\t\td\nI0\t0\tshared/a/\tpriv/b/\n`).map(describe), [
    OPEN,
    'close: key "priv/b/" without a user',
  ]);
});

for (const major of [0, 1, 5, 4_294_967_295])
  test(`dict protocol ${major} is not known`, () =>
    assert.deepEqual(play(`H${major}\t2\t0\t\td\nLshared/a\t\n`).map(describe), [
      `close: dict protocol ${major}.2 is not known`,
    ]));

test("nothing goes before the handshake", () => {
  const commands: DictCommand[] = [
    { kind: "lookup", key: "shared/a", user: "" },
    { kind: "commit", id: 1, isAsync: false },
    { kind: "malformed", reason: "a command before the handshake" },
  ];
  for (const command of commands)
    assert.deepEqual(onCommand(INITIAL_STATE, command), {
      state: { phase: "closing" },
      actions: [{ kind: "close", reason: "a command before the handshake" }],
    });
});

test("a key is not repeated without end in the reason", () => {
  const [, action] = play(`${V3}L${"x".repeat(1_000_000)}\t\n`);
  assert.ok(action?.kind === "close" && action.reason.length < 200);
});

test("too many transactions close", () => {
  const begins = Array.from({ length: MAX_TRANSACTIONS }, (_, id) => `B${id}\t\n`).join("");
  assert.deepEqual(play(`${V3}${begins}R5\nB5\t\n`).map(describe), [OPEN]);
  assert.deepEqual(play(`${V3}${begins}B1000\t\n`).map(describe), [OPEN, "close: too many open transactions"]);
});

test("a transaction of too many changes fails, and no other", () => {
  const sets = (count: number): string => "S1\tshared/a\tx\n".repeat(count);
  const most = play(`${V3}B1\t\n${sets(MAX_CHANGES_PER_TRANSACTION)}C1\n`).at(-1);
  assert.ok(most?.kind === "commit" && most.changes.length === MAX_CHANGES_PER_TRANSACTION);
  const actions = play(`${V3}B1\t\n${sets(MAX_CHANGES_PER_TRANSACTION + 1)}B2\t\nS2\tshared/b\ty\nC1\nC2\n`);
  assert.deepEqual(actions.map(describe), [
    OPEN,
    "reply F1\tmore than 10000 changes in one transaction\n",
    "commit 2 for : set shared/b y",
  ]);
});

test("what one connection holds is bounded, and is given back", () => {
  const value = "x".repeat(1_000_000);
  const sets = (id: number, count: number): string => `B${id}\t\n${`S${id}\tshared/a\t${value}\n`.repeat(count)}`;
  const fitting = Math.floor(MAX_HELD_UNITS / 1_000_100);
  const full = `${V3}${sets(1, fitting - 1)}${sets(2, 2)}`;
  const kindsAfter = (rest: string): string[] =>
    play(full + rest).flatMap((action) => (action.kind === "reply" ? [describe(action)] : [action.kind]));
  const refusal = (start: string): string =>
    `reply ${start}\tmore than this server holds in one connection's transactions\n`;
  // The second one's changes are dropped at once: there is room for another, though not for two.
  assert.deepEqual(kindsAfter("D2\nC1\n"), ["open", refusal("AF2"), "commit"]);
  assert.deepEqual(kindsAfter(`${sets(3, 1)}C3\nC1\n`), ["open", "commit", "commit"]);
  assert.deepEqual(kindsAfter(`${sets(3, 2)}C3\nC1\n`), ["open", refusal("F3"), "commit"]);
  assert.deepEqual(kindsAfter(`R1\n${sets(3, fitting)}C3\n`), ["open", "commit"]);
  assert.deepEqual(kindsAfter(`C1\n${sets(3, fitting)}C3\n`), ["open", "commit", "commit"]);
});
