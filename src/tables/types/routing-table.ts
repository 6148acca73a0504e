import type { Endpoint } from "../../core/endpoint.ts";
import { parseEndpoint } from "../../core/endpoint.ts";
import { list, optional, required, withDefault } from "../../core/option-schema.ts";
import type { OptionSchema } from "../../core/option-schema.ts";
import { choice, flag, scalar } from "../../core/option-values.ts";
import { bad, ok } from "../../core/units.ts";
import { defineType } from "../table-type.ts";
import { NO_ROUTER, PASSDB_SERVICES, ROUTING_VIEWS } from "../views.ts";
import type { RoutingView } from "../views.ts";

/** A path may be relative to Postfix's queue directory, which is all that a chrooted lmtp(8) sees. */
const reachedAt = (): OptionSchema<Endpoint> =>
  scalar("an address", (given) => {
    const path = /^unix:([^/].*)$/.exec(given)?.[1];
    if (path !== undefined) return ok({ kind: "unix", path });
    const parsed = parseEndpoint(given);
    return parsed.kind === "ok" ? ok(parsed.endpoint) : bad(parsed.reason);
  });

const domain = (): OptionSchema<string> =>
  scalar("a domain", (given) =>
    /^[^\s@]+$/.test(given) ? ok(given.toLowerCase()) : bad(`expected a domain such as example.com, got "${given}"`),
  );

/** Answers are made anew for each question, since a hold, a lock or a switch counts from the moment at which it is there. */
export const ROUTING = defineType({
  description:
    "What the router says of an address, in the words of whoever asks. `*`, bare domains and addresses elsewhere are absent, " +
    "and so is whom the router does not know. Cannot stand in `routing.tables`.",
  kind: "view",
  entries: {
    as: required(choice(ROUTING_VIEWS), {
      description:
        "`transport`: for `transport_maps` of Postfix, our own LMTP listener, `retry:4.2.1 …` on hold and `error:5.7.1 …` where a table refuses. " +
        "`passdb`: for Dovecot 2.2 and 2.3 as a proxy, the fields of a passdb in JSON. " +
        "`backend`: the backend's name. `imap`, `pop3`, `submission`: the store's address for it, as `host:port`.",
      example: "transport",
    }),
    service: optional(choice(PASSDB_SERVICES), {
      description:
        "Who asks a `passdb`: a login proxy is sent to the store, and checks no password, which the store does; `lmtp` is sent to our own LMTP listener. " +
        "Without it the key begins with the service, as in Dovecot's `%Ls/%u`: better, because who asks for another service, such as Postfix for " +
        "SASL, is then refused and not let in without a password.",
      example: "imap",
    }),
    lmtp: optional(reachedAt(), {
      description:
        "Where Postfix or Dovecot reach our LMTP listener, where that is not the address of the first one. A path may be " +
        "relative to Postfix's queue directory: `unix:mailshunt/lmtp`.",
      example: "unix:mailshunt/lmtp",
    }),
    direct: withDefault(flag(), "false", {
      description:
        "Tells Postfix or Dovecot the store's own address. Their mail then goes past holds and drains: users served so cannot be moved with proof.",
    }),
    domains: optional(list(domain(), "[example.com]"), {
      description:
        "Domains of ours: addresses elsewhere are absent. Postfix asks `transport_maps` for every recipient and sender in the world, " +
        "so this must be there where `routing.key` is `localpart` or there is a `routing.fallback`.",
      example: "[example.com]",
      isInSample: true,
    }),
    master_login: withDefault(flag(), "false", {
      description:
        "A `passdb` also tells `master_user` and its password, so that Dovecot logs in to the store without the user's own password. Only behind a " +
        "passdb that has checked that (`skip = unauthenticated`): otherwise everybody gets in as anybody.",
    }),
  },
  faultOf(section) {
    if (section.as !== "passdb" && section.service !== undefined) return '"service" is for "as: passdb"';
    if (section.as !== "passdb" && section.master_login) return '"master_login" is for "as: passdb"';
    if (section.service === "lmtp" && section.master_login) return '"master_login" is for logins, not for LMTP';
    const isOfMail = section.as === "transport" || (section.as === "passdb" && (section.service ?? "lmtp") === "lmtp");
    if (!isOfMail && section.direct) return '"direct" is for "as: transport" and for "service: lmtp"';
    if (!isOfMail && section.lmtp !== undefined) return '"lmtp" is for "as: transport" and for "service: lmtp"';
    if (section.direct && section.lmtp !== undefined) return '"lmtp" and "direct" exclude each other';
    return undefined;
  },
  toOptions: (section): RoutingView => ({
    as: section.as,
    service: section.service,
    lmtp: section.lmtp,
    isDirect: section.direct,
    domains: section.domains && new Set(section.domains),
    tellsMaster: section.master_login,
  }),
  open: (view, { views }) => ({ lookup: (key) => views?.route(view, key) ?? NO_ROUTER }),
});
