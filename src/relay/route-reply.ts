import { unreachable } from "../core/unreachable.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";
import type { Route, RouteSource } from "../routing/route.ts";
import { ownReply } from "./verdict.ts";

const because = (source: RouteSource): string =>
  source.kind === "hold" && source.reason !== "" ? ` (${source.reason})` : "";

/** Keys and reasons are text: one character each would be a byte of the reply, and that of U+4E0A is a line end. */
function say(session: string, code: number, enhanced: string, text: string): Reply {
  // oxlint-disable-next-line no-control-regex
  const line = text.replaceAll(/[\u0000-\u001f\u007f]+/g, " ");
  return ownReply(session, code, enhanced, Buffer.from(line).toString("latin1"));
}

/** The answer to RCPT for every route that leads to no store. Failures delay; only a table's `refuse` is permanent. */
export function routeReply(route: Exclude<Route, { kind: "deliver" }>, session: string): Reply {
  switch (route.kind) {
    case "hold":
      return say(
        session,
        450,
        "4.2.1",
        `mail for ${route.userKey} is on hold${because(route.source)}, try again later`,
      );
    case "refuse":
      return say(session, 550, "5.7.1", `mail for ${route.userKey} is refused`);
    case "unknown":
      return route.answer === "defer"
        ? say(session, 451, "4.1.1", `${route.userKey} is in no table and there is no fallback backend`)
        : say(session, 550, "5.1.1", `user ${route.userKey} is unknown`);
    case "failed":
      return say(session, 451, "4.3.0", `looking up ${route.userKey} failed: ${route.reason}`);
    default:
      return unreachable(route);
  }
}
