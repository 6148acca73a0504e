import type { MoveEvent, MoveState, RollingBack } from "../move.ts";
import { enter, refused, stay } from "./step.ts";
import type { Step } from "./step.ts";

/** The states from which there is a way back. */
export type Unswitched = Extract<
  MoveState,
  { phase: "planned" | "paused" | "pre-sync" | "lock" | "hold" | "final-sync" | "verify" | "switch" }
>;

/** Back to the old store: stop what runs, release, unlock, of which only what there is to undo. */
export function rollBack(state: Unswitched, reason: string, isCancelled = false): Step {
  const undo = undoOf(state);
  const command = "command" in state ? state.command : undefined;
  return enter(
    firstFrom("stopping", {
      phase: "rolling-back",
      doing: "stopping",
      reason,
      end: isCancelled || undo !== "nothing" ? "rolled-back" : "failed",
      undo,
      commands: command === undefined ? [] : [command],
      warnings: [],
    }),
  );
}

function undoOf(state: Unswitched): RollingBack["undo"] {
  switch (state.phase) {
    case "planned":
    case "paused":
    case "pre-sync":
      return "nothing";
    case "lock":
      return "lock";
    case "hold":
    case "final-sync":
    case "verify":
    case "switch":
      return "hold-and-lock";
  }
}

/** The first thing from `doing` on that there is to do, or the end. */
function firstFrom(doing: RollingBack["doing"], state: RollingBack): MoveState {
  const { commands, undo } = state;
  switch (doing) {
    case "stopping":
      return commands.length > 0 ? { ...state, doing } : firstFrom("releasing", state);
    case "releasing":
      return undo === "hold-and-lock" ? { ...state, doing } : firstFrom("unlocking", state);
    case "unlocking":
      return undo === "nothing" ? firstFrom("stopping-last", state) : { ...state, doing };
    case "stopping-last":
      return commands.length > 0 ? { ...state, doing } : endOf(state);
  }
}

const endOf = ({ end, reason, warnings }: RollingBack): MoveState =>
  end === "failed" ? { phase: "failed", reason } : { phase: "rolled-back", reason, warnings };

/** What comes of a roll-back's acts. */
export function onRollingBack(state: RollingBack, event: MoveEvent): Step {
  switch (state.doing) {
    case "stopping":
      if (event.kind === "command-gone") return enter(firstFrom("releasing", { ...state, commands: [] }));
      // Mail must not wait for what cannot be killed: it fills the new store alone.
      if (event.kind === "deadline-passed" && state.undo === "hold-and-lock")
        return enter(firstFrom("releasing", state));
      break;
    case "releasing":
      if (event.kind === "released") return enter(firstFrom("unlocking", state));
      break;
    case "unlocking":
      if (event.kind === "command-started") return stay({ ...state, commands: [...state.commands, event.command] });
      if (event.kind === "unlocked") return enter(firstFrom("stopping-last", { ...state, warnings: event.warnings }));
      break;
    case "stopping-last":
      if (event.kind === "command-gone") return enter(endOf(state));
      break;
  }
  return refused(event.kind === "cancelled" ? "it is rolling back already" : "it is rolling back");
}

/** What it did before may have been done or not: each step is harmless where it was. */
export const onRollBackRestarted = (state: RollingBack): Step => enter(firstFrom("stopping", state));
