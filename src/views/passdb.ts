import type { Endpoint } from "../core/endpoint.ts";
import { unreachable } from "../core/unreachable.ts";
import type { Route } from "../routing/route.ts";
import type { ReachableLogin } from "./login.ts";
import { NO_LISTENER } from "./transport.ts";
import type { MailWay } from "./transport.ts";
import { ABSENT, failed, found, held } from "./view-answer.ts";
import type { ViewAnswer } from "./view-answer.ts";

/**
 * What `passdb` of Dovecot 2.2 and 2.3 takes from a dict: one flat JSON object, each member a field. `nopassword` lets
 * everybody pass here, because the store that is proxied to checks the password. Dovecot 2.4 has no passdb over dict.
 */
const answer = (fields: Readonly<Record<string, string>>): ViewAnswer =>
  found(JSON.stringify({ nopassword: "y", ...fields }));

/** Nobody is asked after this one, as after an absent user: another passdb might know the user, and a local store. */
const disabled = (): ViewAnswer => answer({ nologin: "y", reason: "This mailbox is closed" });

export interface LoginFields extends ReachableLogin {
  /** Tells whom the store lets in as anybody. Only where a passdb before this one has checked the password. */
  readonly tellsMaster: boolean;
}

/** For the login proxies: IMAP, POP3, submission. */
export function toLoginPassdb({ login, ip, tellsMaster }: LoginFields): ViewAnswer {
  switch (login.kind) {
    case "go": {
      const { address, tls, master } = login.place;
      return answer({
        proxy: "y",
        host: address.host,
        // With it the name is there for the certificate alone, and Dovecot need not look it up.
        ...(ip === address.host ? {} : { hostip: ip }),
        port: String(address.port),
        ...tlsFields(tls),
        ...(tellsMaster && master !== undefined ? { master: master.user, pass: master.password } : {}),
      });
    }
    case "unknown":
      return ABSENT;
    case "refused":
      return disabled();
    case "locked":
      return failed(`the mailbox of ${login.userKey} is being moved`);
    case "failed":
      return failed(login.reason);
    default:
      return unreachable(login);
  }
}

function tlsFields(tls: "none" | "starttls" | "implicit"): Readonly<Record<string, string>> {
  switch (tls) {
    case "none":
      return {};
    case "starttls":
      return { starttls: "yes" };
    case "implicit":
      return { ssl: "yes" };
    default:
      return unreachable(tls);
  }
}

/** For Dovecot's LMTP server with `lmtp_proxy = yes`. Who is absent here may be local there. */
export function toLmtpPassdb(route: Route, way: MailWay): ViewAnswer {
  switch (route.kind) {
    case "deliver":
      return toServer(way.kind === "proxy" ? way.listener : way.backends.get(route.backend)?.lmtp);
    case "hold":
      return held(route);
    case "refuse":
      // Our own listener says it best: Dovecot 2.3 would look for a local user after `nologin`.
      return way.kind === "proxy" ? toServer(way.listener) : disabled();
    case "unknown":
      return ABSENT;
    case "failed":
      return failed(route.reason);
    default:
      return unreachable(route);
  }
}

function toServer(target: Endpoint | undefined): ViewAnswer {
  if (target === undefined) return failed(NO_LISTENER);
  if (target.kind === "unix") return failed(`Dovecot's LMTP proxy cannot connect to a unix socket: ${target.path}`);
  return answer({ proxy: "y", protocol: "lmtp", host: target.host, port: String(target.port) });
}
