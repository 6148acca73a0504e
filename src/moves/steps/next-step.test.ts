import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommandGroup } from "../commands/command-group.ts";
import type { MoveEvent, MovePhase, MoveState } from "../move.ts";
import { actFor } from "./act.ts";
import { nextStep } from "./next-step.ts";

const COMMAND: CommandGroup = { pgid: 7, startTicks: "1", bootId: "b", token: "t" };
const DRAINED = { generation: 3, drainedMs: 100 };
const NONE = { command: undefined };
const OUTSIDE = {
  phase: "switch",
  drained: DRAINED,
  sinceMs: 9,
  writtenMs: 9,
  before: "old",
  isRefused: false,
} as const;

const STATES: Readonly<Record<string, MoveState>> = {
  planned: { phase: "planned", round: 1, ...NONE },
  paused: { phase: "paused", round: 2, ...NONE },
  "paused, stopping": { phase: "paused", round: 2, command: COMMAND },
  "pre-sync": { phase: "pre-sync", round: 1, doing: "syncing", ...NONE },
  "pre-sync, running": { phase: "pre-sync", round: 1, doing: "syncing", command: COMMAND },
  "pre-sync, stopping": { phase: "pre-sync", round: 1, doing: "stopping", command: COMMAND },
  "pre-sync, comparing": { phase: "pre-sync", round: 1, doing: "comparing", ...NONE },
  "pre-sync, probing": { phase: "pre-sync", round: 1, doing: "probing", ...NONE },
  "lock, locking": { phase: "lock", doing: "locking", ...NONE },
  "lock, kicking": { phase: "lock", doing: "kicking", ...NONE },
  "lock, waiting": { phase: "lock", doing: "waiting", ...NONE },
  "lock, kicking-again": { phase: "lock", doing: "kicking-again", ...NONE },
  hold: { phase: "hold" },
  "final-sync, checking": { phase: "final-sync", drained: DRAINED, doing: "checking-sessions", ...NONE },
  "final-sync": { phase: "final-sync", drained: DRAINED, doing: "syncing", ...NONE },
  "final-sync, running": { phase: "final-sync", drained: DRAINED, doing: "syncing", command: COMMAND },
  verify: { phase: "verify", drained: DRAINED },
  "switch, probing": { phase: "switch", drained: DRAINED, doing: "probing" },
  "switch, committing": { phase: "switch", drained: DRAINED, doing: "committing" },
  "switch, writing-outside": { ...OUTSIDE, doing: "writing-outside" },
  "switch, reading-outside": { ...OUTSIDE, doing: "reading-outside" },
  "switch, committing-outside": { ...OUTSIDE, doing: "committing-outside" },
  release: { phase: "release", isOutside: false, warnings: [] },
  "unlock, kicking": { phase: "unlock", doing: "kicking", ...NONE, warnings: [] },
  "unlock, running": { phase: "unlock", doing: "kicking", command: COMMAND, warnings: [] },
  "unlock, stopping": { phase: "unlock", doing: "stopping", command: COMMAND, warnings: [] },
  unlock: { phase: "unlock", doing: "unlocking", ...NONE, warnings: [] },
  done: { phase: "done", warnings: [] },
  rehearsed: { phase: "rehearsed", warnings: [] },
  "rolled-back": { phase: "rolled-back", reason: "x", warnings: [] },
  failed: { phase: "failed", reason: "x" },
  "rolling-back, stopping": back("stopping", [COMMAND]),
  "rolling-back, releasing": back("releasing", []),
  "rolling-back, unlocking": back("unlocking", []),
  "rolling-back, unlocking, running": back("unlocking", [COMMAND]),
  "rolling-back, stopping-last": back("stopping-last", [COMMAND]),
};

function back(
  doing: Extract<MoveState, { phase: "rolling-back" }>["doing"],
  commands: readonly CommandGroup[],
): MoveState {
  return {
    phase: "rolling-back",
    doing,
    commands,
    reason: "x",
    end: "rolled-back",
    undo: "hold-and-lock",
    warnings: [],
  };
}
function stateNamed(name: string): MoveState {
  const state = STATES[name];
  if (state === undefined) throw new Error(`no state ${name}`);
  return state;
}
/** Phase, doing, and what is to be done, on one line. */
function tell(name: string, event: MoveEvent): string {
  const step = nextStep(stateNamed(name), event);
  if (step.kind === "refused") return "refused";
  const doing = "doing" in step.state ? ` ${step.state.doing}` : "";
  return `${step.state.phase}${doing}${step.kind === "stay" ? ", goes on" : `: ${step.act?.kind ?? "nothing"}`}`;
}
const synced = (isLast: boolean): MoveEvent => ({ kind: "synced", tookMs: 5, isLast });
const compared = (differences: number): MoveEvent => ({ kind: "compared", differences, text: "differs" });
const accepted = (outside?: "old"): MoveEvent => ({ kind: "accepted", atMs: 9, outside });
const drained: MoveEvent = { kind: "drained", hold: DRAINED, waitedFor: 0, cut: 0, settledMs: 0 };
const gone: MoveEvent = { kind: "command-gone" };
const unlocked: MoveEvent = { kind: "unlocked", warnings: [] };
const read = (value: "old" | "new"): MoveEvent => ({ kind: "outside-read", value });

const way: readonly (readonly [from: string, event: MoveEvent, to: string])[] = [
  ["planned", { kind: "started" }, "pre-sync syncing: sync"],
  ["pre-sync", { kind: "command-started", command: COMMAND }, "pre-sync syncing, goes on"],
  ["pre-sync, running", synced(false), "pre-sync syncing: sync"],
  ["pre-sync, running", synced(true), "pre-sync comparing: compare"],
  ["pre-sync, stopping", gone, "pre-sync syncing: sync"],
  ["pre-sync, comparing", compared(3), "pre-sync probing: probe"],
  ["pre-sync, probing", accepted(), "lock locking: lock"],
  ["pre-sync, probing", { kind: "rehearsed" }, "rehearsed: nothing"],
  ["lock, locking", { kind: "locked" }, "lock kicking: kick"],
  ["lock, kicking", { kind: "kicked" }, "lock waiting: wait-for-logins"],
  ["lock, waiting", { kind: "logins-over" }, "lock kicking-again: kick"],
  ["lock, kicking-again", { kind: "kicked" }, "hold: hold"],
  ["hold", drained, "final-sync checking-sessions: check-sessions"],
  ["final-sync, checking", { kind: "no-sessions" }, "final-sync syncing: sync"],
  ["final-sync, running", synced(true), "verify: compare"],
  ["verify", compared(0), "switch probing: probe"],
  ["verify", compared(1), "rolling-back releasing: release"],
  ["switch, probing", accepted(), "switch committing: switch"],
  ["switch, committing", { kind: "switched" }, "release: release"],
  ["release", { kind: "released" }, "unlock kicking: kick"],
  ["unlock, kicking", { kind: "kicked" }, "unlock unlocking: unlock"],
  ["unlock, kicking", { kind: "failed", reason: "x" }, "unlock unlocking: unlock"],
  ["unlock", unlocked, "done: nothing"],
  ["switch, probing", accepted("old"), "switch writing-outside: write-outside"],
  [
    "switch, writing-outside",
    { kind: "outside-written", atMs: 9, isRefused: true, text: "" },
    "switch reading-outside: read-outside",
  ],
  ["switch, reading-outside", read("new"), "switch committing-outside: switch"],
  ["switch, reading-outside", read("old"), "rolling-back releasing: release"],
  ["switch, committing-outside", { kind: "switched" }, "release: release"],
  ["switch, committing-outside", { kind: "failed", reason: "x" }, "release: release"],
  ["rolling-back, stopping", gone, "rolling-back releasing: release"],
  ["rolling-back, stopping", { kind: "deadline-passed" }, "rolling-back releasing: release"],
  ["rolling-back, releasing", { kind: "released" }, "rolling-back unlocking: unlock"],
  ["rolling-back, unlocking", unlocked, "rolled-back: nothing"],
  ["rolling-back, unlocking, running", unlocked, "rolling-back stopping-last: stop-commands"],
  ["rolling-back, stopping-last", gone, "rolled-back: nothing"],
  ["paused, stopping", gone, "paused: nothing"],
];

for (const [from, event, to] of way) test(`${from}, ${event.kind}: ${to}`, () => assert.equal(tell(from, event), to));

/** What comes from outside in every state; `-` is refused. */
const table: readonly (readonly [
  state: string,
  failed: string,
  restarted: string,
  cancelled: string,
  deadline: string,
])[] = [
  ["planned", "-", "planned, goes on", "rolled-back: nothing", "-"],
  ["paused", "-", "paused: nothing", "rolled-back: nothing", "-"],
  ["paused, stopping", "-", "paused: stop-commands", "rolling-back stopping: stop-commands", "-"],
  ["pre-sync", "failed: nothing", "pre-sync syncing: sync", "rolled-back: nothing", "-"],
  [
    "pre-sync, running",
    "rolling-back stopping: stop-commands",
    "pre-sync stopping: stop-commands",
    "rolling-back stopping: stop-commands",
    "-",
  ],
  ["pre-sync, comparing", "failed: nothing", "pre-sync comparing: compare", "rolled-back: nothing", "-"],
  [
    "lock, locking",
    "rolling-back unlocking: unlock",
    "rolling-back unlocking: unlock",
    "rolling-back unlocking: unlock",
    "-",
  ],
  [
    "lock, waiting",
    "rolling-back unlocking: unlock",
    "rolling-back unlocking: unlock",
    "rolling-back unlocking: unlock",
    "-",
  ],
  ...["hold", "final-sync", "final-sync, checking", "verify", "switch, probing"].map(
    (name) =>
      [name, ...Array.from({ length: 4 }, () => "rolling-back releasing: release")] as unknown as [
        string,
        string,
        string,
        string,
        string,
      ],
  ),
  ["final-sync, running", ...Array.from({ length: 4 }, () => "rolling-back stopping: stop-commands")] as unknown as [
    string,
    string,
    string,
    string,
    string,
  ],
  ["switch, committing", "rolling-back releasing: release", "rolling-back releasing: release", "-", "-"],
  ["switch, writing-outside", "-", "switch reading-outside: read-outside", "-", "-"],
  ["switch, reading-outside", "-", "switch reading-outside: read-outside", "-", "-"],
  ["switch, committing-outside", "release: release", "switch reading-outside: read-outside", "-", "-"],
  ["release", "-", "release: release", "-", "-"],
  ["unlock, kicking", "unlock unlocking: unlock", "unlock kicking: kick", "-", "-"],
  ["unlock, running", "unlock unlocking: unlock", "unlock stopping: stop-commands", "-", "-"],
  ["unlock", "-", "unlock unlocking: unlock", "-", "-"],
  ["rolling-back, releasing", "-", "rolling-back releasing: release", "-", "-"],
  ["rolling-back, unlocking", "-", "rolling-back releasing: release", "-", "-"],
  ["rolling-back, unlocking, running", "-", "rolling-back stopping: stop-commands", "-", "-"],
  ["done", "-", "-", "-", "-"],
  ["rehearsed", "-", "-", "-", "-"],
  ["rolled-back", "-", "-", "-", "-"],
  ["failed", "-", "-", "-", "-"],
];

for (const [name, ...wanted] of table)
  for (const [index, event] of [
    { kind: "failed", reason: "x" } as const,
    { kind: "restarted", atMs: 50 } as const,
    { kind: "cancelled", who: "ada" } as const,
    { kind: "deadline-passed" } as const,
  ].entries())
    test(`${name}, ${event.kind}: ${wanted[index]}`, () =>
      assert.equal(tell(name, event).replace("refused", "-"), wanted[index]));

test("only what waits or copies can be paused, and only what is paused goes on", () => {
  const pausable = Object.keys(STATES).filter((name) => tell(name, { kind: "paused", who: "ada" }) !== "refused");
  assert.deepEqual(pausable, [
    "planned",
    "pre-sync",
    "pre-sync, running",
    "pre-sync, stopping",
    "pre-sync, comparing",
    "pre-sync, probing",
  ]);
  assert.equal(tell("pre-sync, running", { kind: "paused", who: "ada" }), "paused: stop-commands");
  const resumable = Object.keys(STATES).filter((name) => tell(name, { kind: "resumed", who: "ada" }) !== "refused");
  assert.deepEqual(resumable, ["paused", "paused, stopping"]);
  // What was to be stopped is stopped before it begins again.
  const resumed = nextStep(stateNamed("paused, stopping"), { kind: "resumed", who: "ada" });
  assert.equal(resumed.kind, "enter");
  const started = resumed.kind === "enter" ? nextStep(resumed.state, { kind: "started" }) : undefined;
  assert.deepEqual(started?.kind === "enter" ? started.act : undefined, { kind: "stop-commands", commands: [COMMAND] });
});

test("only what failed or was rolled back is tried again", () => {
  const retried = Object.keys(STATES).filter((name) => tell(name, { kind: "retried", who: "ada" }) !== "refused");
  assert.deepEqual(retried, ["rolled-back", "failed"]);
});

test("a rehearsal's end says what the comparison found", () => {
  const comparing = stateNamed("pre-sync, comparing");
  for (const [differences, warnings] of [
    [0, []],
    [3, [compared(3)]],
  ] as const) {
    const probing = nextStep(comparing, compared(differences));
    const end = probing.kind === "enter" ? nextStep(probing.state, { kind: "rehearsed" }) : probing;
    const texts = warnings.map((event) => (event.kind === "compared" ? event.text : ""));
    assert.deepEqual(end.kind === "enter" ? end.state : undefined, { phase: "rehearsed", warnings: texts });
  }
});

test("from the switch on nothing leads back", () => {
  const switched: readonly MovePhase[] = ["release", "unlock", "done"];
  for (const [name, state] of Object.entries(STATES)) {
    if (!switched.includes(state.phase)) continue;
    for (const event of everyEvent()) {
      const step = nextStep(state, event);
      if (step.kind === "refused") continue;
      assert.ok(switched.includes(step.state.phase), `${name}, ${event.kind}: ${step.state.phase}`);
    }
  }
});

test("a sync is begun only before the switch, and never while something of a command may be left", () => {
  for (const [name, state] of Object.entries(STATES))
    for (const event of everyEvent()) {
      const step = nextStep(state, event);
      if (step.kind !== "enter" || step.act?.kind !== "sync") continue;
      assert.ok(["pre-sync", "final-sync"].includes(step.state.phase));
      assert.ok("command" in step.state && step.state.command === undefined, `${name}, ${event.kind}`);
    }
});

test("each state that nobody is waited for in has something to do", () => {
  for (const [name, state] of Object.entries(STATES))
    assert.equal(
      actFor(state) === undefined,
      ["planned", "paused", "done", "rehearsed", "rolled-back", "failed"].includes(name),
      name,
    );
});

function everyEvent(): readonly MoveEvent[] {
  return [
    { kind: "started" },
    { kind: "command-started", command: COMMAND },
    gone,
    synced(true),
    synced(false),
    compared(0),
    compared(1),
    accepted(),
    accepted("old"),
    { kind: "rehearsed" },
    { kind: "locked" },
    { kind: "kicked" },
    { kind: "logins-over" },
    drained,
    { kind: "no-sessions" },
    { kind: "switched" },
    { kind: "outside-written", atMs: 9, isRefused: false, text: "" },
    read("old"),
    read("new"),
    { kind: "released" },
    unlocked,
    { kind: "failed", reason: "x" },
    { kind: "deadline-passed" },
    { kind: "interrupted", reason: "x" },
    { kind: "restarted", atMs: 50 },
    { kind: "paused", who: "ada" },
    { kind: "resumed", who: "ada" },
    { kind: "cancelled", who: "ada" },
    { kind: "retried", who: "ada" },
  ];
}
