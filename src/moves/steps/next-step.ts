import type { MoveEvent, MoveState } from "../move.ts";
import { onOrder } from "./orders.ts";
import { onRollBackRestarted, onRollingBack, rollBack } from "./roll-back.ts";
import { enter, refused, stay } from "./step.ts";
import type { Step } from "./step.ts";

/**
 * Where an event leads. Pure. Before the switch every failure leads back to the
 * old store, from the switch on there is only the way forward.
 */
export function nextStep(state: MoveState, event: MoveEvent): Step {
  switch (event.kind) {
    case "created":
      return refused("it was created before");
    case "paused":
    case "resumed":
    case "cancelled":
    case "retried":
      return onOrder(state, event);
    case "restarted":
      return onRestarted(state, event.atMs);
    case "failed":
    case "interrupted":
    case "deadline-passed":
      return onTrouble(state, event);
    case "started":
    case "command-started":
    case "command-gone":
    case "synced":
    case "compared":
    case "accepted":
    case "rehearsed":
    case "locked":
    case "kicked":
    case "logins-over":
    case "drained":
    case "no-sessions":
    case "switched":
    case "outside-written":
    case "outside-read":
    case "released":
    case "unlocked":
      return onOutcome(state, event);
  }
}

const MEANINGLESS = refused("it means nothing in this state");

function onOutcome(state: MoveState, event: MoveEvent): Step {
  switch (state.phase) {
    case "planned":
      if (event.kind !== "started") return MEANINGLESS;
      return enter({ ...state, phase: "pre-sync", doing: state.command === undefined ? "syncing" : "stopping" });
    case "paused":
      return event.kind === "command-gone" ? enter({ ...state, command: undefined }) : MEANINGLESS;
    case "pre-sync":
      return onPreSync(state, event);
    case "lock":
      return onLock(state, event);
    case "hold":
      if (event.kind !== "drained") return MEANINGLESS;
      return enter({ phase: "final-sync", drained: event.hold, doing: "checking-sessions", command: undefined });
    case "final-sync":
      return onFinalSync(state, event);
    case "verify":
      if (event.kind !== "compared") return MEANINGLESS;
      if (event.differences > 0) return rollBack(state, event.text);
      return enter({ phase: "switch", drained: state.drained, doing: "probing" });
    case "switch":
      return onSwitch(state, event);
    case "release":
      if (event.kind !== "released") return MEANINGLESS;
      return enter({ phase: "unlock", doing: "kicking", command: undefined, warnings: state.warnings });
    case "unlock":
      return onUnlock(state, event);
    case "rolling-back":
      return onRollingBack(state, event);
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return MEANINGLESS;
  }
}

type In<Phase extends MoveState["phase"]> = Extract<MoveState, { phase: Phase }>;

function onPreSync(state: In<"pre-sync">, event: MoveEvent): Step {
  const { round } = state;
  switch (state.doing) {
    case "stopping":
      return event.kind === "command-gone" ? enter({ ...state, doing: "syncing", command: undefined }) : MEANINGLESS;
    case "syncing":
      if (event.kind === "command-started") return stay({ ...state, command: event.command });
      if (event.kind !== "synced") return MEANINGLESS;
      if (event.isLast) return enter({ phase: "pre-sync", round, doing: "comparing", command: undefined });
      return enter({ phase: "pre-sync", round: round + 1, doing: "syncing", command: undefined });
    case "comparing":
      // Mail still flows into the old store, so what differs now proves nothing; the report tells of it.
      if (event.kind !== "compared") return MEANINGLESS;
      return enter({ ...state, doing: "probing", ...(event.differences > 0 ? { differing: event.text } : {}) });
    case "probing":
      if (event.kind === "rehearsed")
        return enter({ phase: "rehearsed", warnings: state.differing === undefined ? [] : [state.differing] });
      return event.kind === "accepted" ? enter({ phase: "lock", doing: "locking", command: undefined }) : MEANINGLESS;
  }
}

function onLock(state: In<"lock">, event: MoveEvent): Step {
  if (event.kind === "command-started" && state.doing !== "waiting") return stay({ ...state, command: event.command });
  switch (state.doing) {
    case "locking":
      return event.kind === "locked" ? enter({ phase: "lock", doing: "kicking", command: undefined }) : MEANINGLESS;
    case "kicking":
      return event.kind === "kicked" ? enter({ phase: "lock", doing: "waiting", command: undefined }) : MEANINGLESS;
    case "waiting":
      return event.kind === "logins-over"
        ? enter({ phase: "lock", doing: "kicking-again", command: undefined })
        : MEANINGLESS;
    case "kicking-again":
      return event.kind === "kicked" ? enter({ phase: "hold" }) : MEANINGLESS;
  }
}

function onFinalSync(state: In<"final-sync">, event: MoveEvent): Step {
  const { drained } = state;
  if (event.kind === "command-started") return stay({ ...state, command: event.command });
  switch (state.doing) {
    case "checking-sessions":
      return event.kind === "no-sessions" ? enter({ ...state, doing: "syncing", command: undefined }) : MEANINGLESS;
    case "syncing":
      return event.kind === "synced" ? enter({ phase: "verify", drained }) : MEANINGLESS;
  }
}

function onSwitch(state: In<"switch">, event: MoveEvent): Step {
  switch (state.doing) {
    case "probing":
      if (event.kind !== "accepted") return MEANINGLESS;
      return enter(
        event.outside === undefined
          ? { ...state, doing: "committing" }
          : {
              ...state,
              doing: "writing-outside",
              sinceMs: event.atMs,
              writtenMs: event.atMs,
              before: event.outside,
              isRefused: false,
            },
      );
    case "committing":
      return event.kind === "switched" ? enter({ phase: "release", isOutside: false, warnings: [] }) : MEANINGLESS;
    case "writing-outside":
      if (event.kind !== "outside-written") return MEANINGLESS;
      return enter({ ...state, doing: "reading-outside", writtenMs: event.atMs, isRefused: event.isRefused });
    case "reading-outside":
      if (event.kind !== "outside-read") return MEANINGLESS;
      return event.value === "new"
        ? enter({ ...state, doing: "committing-outside" })
        : rollBack(state, "the table that decides where users live still has the old backend");
    case "committing-outside":
      return event.kind === "switched" ? enter({ phase: "release", isOutside: true, warnings: [] }) : MEANINGLESS;
  }
}

function onUnlock(state: In<"unlock">, event: MoveEvent): Step {
  switch (state.doing) {
    case "stopping":
      return event.kind === "command-gone" ? enter({ ...state, doing: "kicking", command: undefined }) : MEANINGLESS;
    case "kicking":
      if (event.kind === "command-started") return stay({ ...state, command: event.command });
      return event.kind === "kicked" ? enter({ ...state, doing: "unlocking", command: undefined }) : MEANINGLESS;
    case "unlocking":
      if (event.kind === "command-started") return stay({ ...state, command: event.command });
      return event.kind === "unlocked"
        ? enter({ phase: "done", warnings: [...state.warnings, ...event.warnings] })
        : MEANINGLESS;
  }
}

type Trouble = Extract<MoveEvent, { kind: "failed" | "interrupted" | "deadline-passed" }>;

function onTrouble(state: MoveState, event: Trouble): Step {
  switch (state.phase) {
    case "planned":
    case "paused":
      return MEANINGLESS;
    case "pre-sync":
      return event.kind === "failed" ? rollBack(state, event.reason) : MEANINGLESS;
    case "lock":
      return event.kind === "deadline-passed" ? MEANINGLESS : rollBack(state, event.reason);
    case "hold":
    case "final-sync":
    case "verify":
      return rollBack(state, reasonOf(event));
    case "switch":
      return onSwitchTrouble(state, event);
    case "unlock":
      if (event.kind !== "failed" || state.doing !== "kicking") return MEANINGLESS;
      return enter({
        ...state,
        doing: "unlocking",
        command: undefined,
        warnings: [...state.warnings, `sessions at the old store may still be open: ${event.reason}`],
      });
    case "rolling-back":
      return onRollingBack(state, event);
    case "release":
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return MEANINGLESS;
  }
}

function onSwitchTrouble(state: In<"switch">, event: Trouble): Step {
  switch (state.doing) {
    case "probing":
      return rollBack(state, reasonOf(event));
    case "committing":
      // Its transaction is under way and looks at the hold itself.
      return event.kind === "failed" ? rollBack(state, event.reason) : MEANINGLESS;
    case "writing-outside":
    case "reading-outside":
      return MEANINGLESS;
    case "committing-outside":
      // Whatever became of the hold: the table says the new backend, and everybody follows it.
      return event.kind === "failed"
        ? enter({ phase: "release", isOutside: true, warnings: [event.reason] })
        : MEANINGLESS;
  }
}

const reasonOf = (event: Trouble): string =>
  event.kind === "deadline-passed" ? "the hold's deadline has passed before the switch" : event.reason;

const RESTARTED = "the daemon ended between the lock and the switch";

function onRestarted(state: MoveState, atMs: number): Step {
  switch (state.phase) {
    case "planned":
      return stay(state);
    case "paused":
      return enter(state);
    case "pre-sync":
      return enter(state.command === undefined ? state : { ...state, doing: "stopping" });
    case "lock":
    case "hold":
    case "final-sync":
    case "verify":
      return rollBack(state, RESTARTED);
    case "switch":
      return onSwitchRestarted(state, atMs);
    case "release":
      return enter(state);
    case "unlock":
      return enter(state.command === undefined ? state : { ...state, doing: "stopping" });
    case "rolling-back":
      return onRollBackRestarted(state);
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return refused("it has ended");
  }
}

/** Only the outside table can tell what became of a write. */
function onSwitchRestarted(state: In<"switch">, atMs: number): Step {
  switch (state.doing) {
    case "probing":
    case "committing":
      return rollBack(state, RESTARTED);
    case "writing-outside":
      return enter({ ...state, doing: "reading-outside", writtenMs: atMs, isRefused: false });
    case "reading-outside":
    case "committing-outside":
      return enter({ ...state, doing: "reading-outside" });
  }
}
