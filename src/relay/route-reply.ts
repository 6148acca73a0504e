import { unreachable } from "../core/unreachable.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";
import type { Route, RouteSource } from "../routing/route.ts";
import { ownReply } from "./verdict.ts";

const because = (source: RouteSource): string =>
  source.kind === "hold" && source.reason !== "" ? ` (${source.reason})` : "";

/** The answer to RCPT for every route that leads to no store. Failures delay; only a table's `refuse` is permanent. */
export function routeReply(route: Exclude<Route, { kind: "deliver" }>, session: string): Reply {
  switch (route.kind) {
    case "hold":
      return ownReply(
        session,
        450,
        "4.2.1",
        `mail for ${route.userKey} is on hold${because(route.source)}, try again later`,
      );
    case "refuse":
      return ownReply(session, 550, "5.7.1", `mail for ${route.userKey} is refused`);
    case "unknown":
      return route.answer === "defer"
        ? ownReply(session, 451, "4.1.1", `${route.userKey} is in no table and there is no fallback backend`)
        : ownReply(session, 550, "5.1.1", `user ${route.userKey} is unknown`);
    case "failed":
      return ownReply(session, 451, "4.3.0", `looking up ${route.userKey} failed: ${route.reason}`);
    default:
      return unreachable(route);
  }
}
