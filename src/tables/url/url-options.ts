import { certificateFile } from "../../core/certificate-file.ts";
import { list, named, optional, required, withDefault } from "../../core/option-schema.ts";
import type { SectionEntries, SectionOutput } from "../../core/option-schema.ts";
import { choice, count, scalar, text } from "../../core/option-values.ts";
import { secretText } from "../../core/read-secret.ts";
import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { parseUrlTemplate } from "./url-template.ts";
import type { UrlTemplate } from "./url-template.ts";

/** One status, or all of 400 to 499. */
export type AbsentStatus = number | "4xx";

export interface UrlTableOptions {
  readonly service: UrlTemplate;
  readonly absentStatus: readonly AbsentStatus[];
  readonly format: "json" | "text";
  /** By lower-cased name, those for authentication among them. */
  readonly headers: Readonly<Record<string, string>>;
  /** In PEM. */
  readonly caCertificates: string | undefined;
  readonly maxConnections: number;
}

/** Of a class they are never absent: the service says that it cannot answer now. */
export const NEVER_ABSENT: ReadonlySet<number> = new Set([408, 425, 429]);

export const URL_ENTRIES = {
  url: required(scalar("a URL with `{}` or `§` where the key goes", parseUrlTemplate), {
    description:
      "`http://`, `https://`, or `http+unix://` with the path of a unix socket, percent-encoded, in place of the host. " +
      "The key is put in percent-encoded, but for letters, digits and `_.-~/`. 200 with JSON is the value; what " +
      "cannot be asked, and any status not named in `absent_status`, is a failure that the client tries again.",
    example: '"http://app:8080/user/{}"',
  }),
  absent_status: withDefault(
    list(scalar("a status, or `4xx`", parseAbsentStatus), "[404, 410]"),
    () => ["404", "410"],
    {
      description:
        "Statuses that mean that there is no such key. Of `4xx` never 408, 425 and 429; 401 and 403 with a line in the log.",
      defaultText: "[404, 410]",
      example: "[404, 410]",
    },
  ),
  format: withDefault(choice(["json", "text"]), "json", {
    description:
      "`json`: a string is the value itself, anything else is given as JSON, and what is written is sent likewise. " +
      "`text`: the value as it comes, without the line end.",
  }),
  headers: optional(named("header", secretText(), faultOfHeaderName), {
    description: "Sent with each request. Values can be in a file or in the environment, as passwords.",
    example: "{ X-Api-Key: { file: /etc/mailshunt/api-key } }",
  }),
  bearer_token: optional(secretText(), {
    description: "For `Authorization: Bearer`.",
    example: "{ file: /etc/mailshunt/token }",
  }),
  user: optional(text("a user"), { description: "For basic authentication, with `password`.", example: "mailshunt" }),
  password: optional(secretText(), {
    description: "For basic authentication, with `user`.",
    example: "{ file: /etc/mailshunt/password }",
  }),
  ca_file: optional(certificateFile(), {
    description: "Certificates, in PEM, of the CAs that vouch for the service, in place of those that Node.js knows.",
    example: "/etc/mailshunt/ca.pem",
  }),
  pool: withDefault(count(1, 1000), "32", { description: "Connections at once, at most." }),
} satisfies SectionEntries;

type Section = SectionOutput<typeof URL_ENTRIES>;

export function faultOfUrlSection({
  url,
  headers,
  bearer_token,
  user,
  password,
  ca_file,
}: Section): string | undefined {
  if ((user === undefined) !== (password === undefined)) return '"user" and "password" go together';
  const ways = [url.credentials, bearer_token, user, headers && findHeader(headers, "authorization")];
  if (ways.filter((way) => way !== undefined).length > 1)
    return 'there is more than one authentication: leave "bearer_token", or "user" and "password", or the one in the URL or in a header';
  for (const [name, value] of headers ?? [])
    if (!HEADER_VALUE.test(value)) return `the value of header ${name} has characters that no header may have`;
  if (bearer_token !== undefined && !HEADER_VALUE.test(bearer_token))
    return '"bearer_token" has characters that no header may have';
  if (user?.includes(":")) return 'a "user" with a colon cannot be sent: it would end the user';
  if (ca_file !== undefined && !url.origin.startsWith("https:")) return '"ca_file" is for https:// alone';
  return undefined;
}

export function toUrlOptions(section: Section): UrlTableOptions {
  const { url, user, password, bearer_token: token } = section;
  const basic = user === undefined || password === undefined ? url.credentials : { user, password };
  const authorization = token === undefined ? basic && basicAuthorization(basic) : `Bearer ${token}`;
  return {
    service: url,
    absentStatus: section.absent_status,
    format: section.format,
    headers: {
      accept: "*/*",
      "user-agent": "mailshunt",
      ...(authorization === undefined ? {} : { authorization }),
      ...Object.fromEntries([...(section.headers ?? [])].map(([name, value]) => [name.toLowerCase(), value])),
    },
    caCertificates: section.ca_file,
    maxConnections: section.pool,
  };
}

function parseAbsentStatus(given: string): Parsed<AbsentStatus> {
  if (given.toLowerCase() === "4xx") return ok("4xx");
  const status = /^[1-5]\d\d$/.test(given) ? Number(given) : undefined;
  if (status === undefined) return bad(`expected a status such as 404, or 4xx, got "${given}"`);
  if (status >= 500 || NEVER_ABSENT.has(status))
    return bad(`${given} says that the service cannot answer now: if it meant absent, an outage would bounce mail`);
  return status <= 200 ? bad(`${given} cannot mean absent`) : ok(status);
}

/** Those that say how a message ends or how long a connection stays, which are not the administrator's. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "content-type",
  "expect",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Source: token in RFC 9110, section 5.6.2. */
function faultOfHeaderName(name: string): string | undefined {
  if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) return `"${name}" is no name of a header`;
  return OWN_HEADERS.has(name.toLowerCase()) ? `the header ${name} cannot be set` : undefined;
}

/** Source: field-value in RFC 9110, section 5.5, of ASCII alone. */
const HEADER_VALUE = /^[\t -~]*$/;

const findHeader = (headers: ReadonlyMap<string, string>, wanted: string): string | undefined =>
  [...headers].find(([name]) => name.toLowerCase() === wanted)?.[1];

/** Source: RFC 7617. */
const basicAuthorization = ({ user, password }: { readonly user: string; readonly password: string }): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
