import { actFor } from "./act.ts";
import type { Act } from "./act.ts";
import type { MoveState } from "../move.ts";

export type Step =
  /** Once the event is in the journal, this is the state, and `act` the thing to do; what was under way is of no interest. */
  | { readonly kind: "enter"; readonly state: MoveState; readonly act: Act | undefined }
  /** Goes to the journal, while what is under way goes on. */
  | { readonly kind: "stay"; readonly state: MoveState }
  /** Means nothing here, and goes nowhere. */
  | { readonly kind: "refused"; readonly why: string };

export const enter = (state: MoveState): Step => ({ kind: "enter", state, act: actFor(state) });
export const stay = (state: MoveState): Step => ({ kind: "stay", state });
export const refused = (why: string): Step => ({ kind: "refused", why });
