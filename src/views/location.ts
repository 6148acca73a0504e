import { formatEndpoint } from "../core/endpoint.ts";
import { unreachable } from "../core/unreachable.ts";
import type { Route } from "../routing/route.ts";
import type { Login } from "./login.ts";
import { ABSENT, failed, found, held } from "./view-answer.ts";
import type { ViewAnswer } from "./view-answer.ts";

/** The backend's name. @param route of a router that does not ask for holds */
export function toBackendName(route: Route): ViewAnswer {
  switch (route.kind) {
    case "deliver":
      return found(route.backend);
    case "hold":
      return held(route);
    case "refuse":
    case "unknown":
      return ABSENT;
    case "failed":
      return failed(route.reason);
    default:
      return unreachable(route);
  }
}

/** Where the user logs in, as `host:port` or `[v6]:port`. */
export function toLoginAddress(login: Login): ViewAnswer {
  switch (login.kind) {
    case "go":
      return found(formatEndpoint({ kind: "tcp", ...login.place.address }));
    case "unknown":
    case "refused":
      return ABSENT;
    case "locked":
      return failed(`the mailbox of ${login.userKey} is being moved`);
    case "failed":
      return failed(login.reason);
    default:
      return unreachable(login);
  }
}
