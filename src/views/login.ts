import { unreachable } from "../core/unreachable.ts";
import type { Route } from "../routing/route.ts";
import { describeHold } from "./view-answer.ts";
import type { Backends, LoginPlace, LoginService } from "./places.ts";

/** What is known of a user who wants to log in. */
export interface LoginUser {
  /** Of a router that does not ask for holds: those keep mail out and nobody else. A table may still say `hold`. */
  readonly route: Route;
  /** The mailbox is being moved, and must have no visitors. */
  readonly isLocked: boolean;
}

/** Where a login goes. Only `unknown` and `refused` are final. */
export type Login =
  | { readonly kind: "go"; readonly userKey: string; readonly backend: string; readonly place: LoginPlace }
  | { readonly kind: "unknown"; readonly userKey: string }
  | { readonly kind: "refused"; readonly userKey: string }
  | { readonly kind: "locked"; readonly userKey: string }
  | { readonly kind: "failed"; readonly userKey: string; readonly reason: string };

/** With the numeric address of the place, where there is one: neither nginx nor a proxying Dovecot looks up names. */
export interface ReachableLogin {
  readonly login: Login;
  readonly ip: string;
}

export function findLogin({ route, isLocked }: LoginUser, service: LoginService, backends: Backends): Login {
  const { userKey } = route;
  switch (route.kind) {
    case "deliver": {
      if (isLocked) return { kind: "locked", userKey };
      const place = backends.get(route.backend)?.[service];
      if (place !== undefined) return { kind: "go", userKey, backend: route.backend, place };
      return { kind: "failed", userKey, reason: `backend ${route.backend} has no "${service}" in the configuration` };
    }
    case "unknown":
      return { kind: "unknown", userKey };
    case "refuse":
      return { kind: "refused", userKey };
    case "hold":
      return { kind: "failed", userKey, reason: `${describeHold(route)}, and nobody says in which backend` };
    case "failed":
      return { kind: "failed", userKey, reason: route.reason };
    default:
      return unreachable(route);
  }
}
