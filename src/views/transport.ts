import type { Endpoint } from "../core/endpoint.ts";
import { unreachable } from "../core/unreachable.ts";
import type { Route } from "../routing/route.ts";
import type { Backends } from "./places.ts";
import { ABSENT, describeHold, failed, found } from "./view-answer.ts";
import type { ViewAnswer } from "./view-answer.ts";

/** Where mail goes that somebody else brings: through us, or past us into the store. */
export type MailWay =
  /** `undefined`: we have no LMTP listener. */
  | { readonly kind: "proxy"; readonly listener: Endpoint | undefined }
  | { readonly kind: "direct"; readonly backends: Backends };

export const NO_LISTENER = "there is no LMTP listener to send mail to";

/** As transport(5) of Postfix has it, which is why every kind but `absent` is a transport of its master.cf. */
export function toTransport(route: Route, way: MailWay): ViewAnswer {
  switch (route.kind) {
    case "deliver": {
      const target = way.kind === "proxy" ? way.listener : way.backends.get(route.backend)?.lmtp;
      return target === undefined ? failed(NO_LISTENER) : found(`lmtp:${nexthop(target)}`);
    }
    case "hold":
      return found(`retry:4.2.1 ${oneLine(describeHold(route))}, try again later`);
    case "refuse":
      return found(`error:5.7.1 mail for ${oneLine(route.userKey)} is refused`);
    case "unknown":
      return ABSENT;
    case "failed":
      return failed(route.reason);
    default:
      return unreachable(route);
  }
}

/** As lmtp(8) of Postfix wants its destination: an IPv6 address in brackets, a port always. */
function nexthop(target: Endpoint): string {
  if (target.kind === "unix") return `unix:${target.path}`;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  return `inet:${host}:${target.port}`;
}

/** What a client sent, or an administrator wrote, stands in a reply line of Postfix. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
