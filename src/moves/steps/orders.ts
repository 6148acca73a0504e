import { INITIAL_STATE } from "../move.ts";
import type { MoveEvent, MoveState } from "../move.ts";
import { rollBack } from "./roll-back.ts";
import { enter, refused } from "./step.ts";
import type { Step } from "./step.ts";

export type Order = Extract<MoveEvent, { kind: "paused" | "resumed" | "cancelled" | "retried" }>;

/** What an operator wants of a move. Refusals are told to the operator. */
export function onOrder(state: MoveState, order: Order): Step {
  switch (order.kind) {
    case "paused":
      return onPaused(state);
    case "resumed":
      return state.phase === "paused" ? enter({ ...state, phase: "planned" }) : refused("it is not paused");
    case "cancelled":
      return onCancelled(state, `cancelled by ${order.who}`);
    case "retried":
      return state.phase === "failed" || state.phase === "rolled-back"
        ? enter(INITIAL_STATE)
        : refused(`only a move that failed or was rolled back can be tried again; this one is in ${state.phase}`);
  }
}

function onPaused(state: MoveState): Step {
  switch (state.phase) {
    case "planned":
      return enter({ ...state, phase: "paused" });
    case "pre-sync":
      return enter({ phase: "paused", round: state.round, command: state.command });
    case "paused":
      return refused("it is paused already");
    case "lock":
    case "hold":
    case "final-sync":
    case "verify":
    case "switch":
      return refused("the user is locked out and waits for it: let it end, or cancel it");
    case "release":
    case "unlock":
      return refused("the user has been switched: it is about to end");
    case "rolling-back":
      return refused("it is rolling back");
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return refused("it has ended");
  }
}

function onCancelled(state: MoveState, reason: string): Step {
  switch (state.phase) {
    case "planned":
    case "paused":
    case "pre-sync":
    case "lock":
    case "hold":
    case "final-sync":
    case "verify":
      return rollBack(state, reason, true);
    case "switch":
      return state.doing === "probing" ? rollBack(state, reason, true) : refused("it is being switched at this moment");
    case "release":
    case "unlock":
      return refused("the user has been switched: to go back, move the user back");
    case "rolling-back":
      return refused("it is rolling back already");
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return refused("it has ended");
  }
}
