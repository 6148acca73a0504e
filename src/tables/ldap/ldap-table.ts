import { certificateFile } from "../../core/certificate-file.ts";
import { list, optional, required, withDefault } from "../../core/option-schema.ts";
import { choice, count, flag, scalar, text } from "../../core/option-values.ts";
import { secretText } from "../../core/read-secret.ts";
import { bad, ok } from "../../core/units.ts";
import { isAttribute, parseFilter } from "./filter.ts";
import { parseLdapUrl } from "./ldap-url.ts";
import { openLdapSource } from "./source.ts";
import type { LdapOptions } from "./source.ts";
import { defineType } from "../table-type.ts";

const attribute = scalar("an attribute's name", (given) =>
  isAttribute(given) ? ok(given) : bad(`expected an attribute's name, such as mail, got "${given}"`),
);

export const LDAP = defineType({
  description: "A directory, asked with a filter. Read only.",
  kind: "remote",
  entries: {
    url: required(scalar("an URL", parseLdapUrl), {
      description: "`ldap://host`, `ldaps://host` or, for a unix socket, `ldapi://%2Fpath`. Ports are 389 and 636.",
      example: "ldap://ldap.example.com",
    }),
    starttls: withDefault(flag(), "false", {
      description:
        "Encrypts an `ldap://` connection before anything else is said, and wants a certificate of the server's name that can be trusted.",
    }),
    ca_file: optional(certificateFile(), {
      description: "PEM file of certificates to trust in place of the system's.",
      example: "/etc/mailshunt/ca.pem",
    }),
    bind_dn: optional(text("a distinguished name"), {
      description: "Who asks. Without it, nobody in particular.",
      example: '"cn=mailshunt,dc=example,dc=com"',
    }),
    bind_password: optional(secretText(), {
      description: "The text itself, `{ file: /path }` or `{ env: NAME }`, read when the configuration is loaded.",
      example: "{ file: /etc/mailshunt/ldap.password }",
    }),
    base: required(text("a distinguished name"), {
      description: "Below which entries are looked for. Where there is no such entry, lookups have failed.",
      example: '"ou=people,dc=example,dc=com"',
    }),
    scope: withDefault(choice(["sub", "one", "base"]), "sub", {
      description: "Everything below the base and itself, what is directly below it, or the base alone.",
    }),
    filter: required(scalar("a filter of RFC 4515", parseFilter), {
      description:
        "Which entries match: `{key}`, `{localpart}` and `{domain}` are put in as values, whatever they hold. Where one is empty its comparison never holds.",
      example: '"(&(objectClass=inetOrgPerson)(mail={key}))"',
    }),
    attributes: required(list(attribute, "[mailHost]"), {
      description:
        "Whose values are the result, in this order: all values of all entries. Entries without any of them are absent. `dn` is an entry's name.",
      example: "[mailHost]",
    }),
    size_limit: withDefault(count(1, 100_000), "100", {
      description: "Entries that may match; with more the lookup has failed.",
    }),
    pool: withDefault(count(1, 1_000), "4", { description: "Connections to the server at most." }),
  },
  faultOf: ({ url, starttls, ca_file, bind_dn, bind_password, attributes }): string | undefined => {
    if (starttls && url.scheme !== "ldap") return `"starttls" is for ldap://, not for ${url.scheme}://`;
    if (ca_file !== undefined && !starttls && url.scheme !== "ldaps") return '"ca_file" means nothing without TLS';
    if (bind_dn !== undefined && bind_password === undefined) return '"bind_dn" needs a "bind_password"';
    if (bind_dn === undefined && bind_password !== undefined) return '"bind_password" needs a "bind_dn"';
    return attributes.length === 0 ? '"attributes" must name one at least' : undefined;
  },
  toOptions: ({ url, starttls, ca_file: ca, bind_dn: dn, bind_password: password, ...rest }): LdapOptions => ({
    server: {
      endpoint: url.endpoint,
      tls: url.scheme === "ldaps" ? "always" : starttls ? "upgrade" : "never",
      ca,
      bind: dn === undefined || password === undefined ? undefined : { dn, password },
    },
    maxConnections: rest.pool,
    base: rest.base,
    scope: rest.scope,
    filter: rest.filter,
    attributes: rest.attributes,
    maxEntries: rest.size_limit,
  }),
  open: openLdapSource,
});
