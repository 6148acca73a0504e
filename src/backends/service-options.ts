import * as v from "valibot";
import type { Endpoint } from "../core/endpoint.ts";
import { optional, required, section, withDefault } from "../core/option-schema.ts";
import type { OptionSchema, SectionEntries, SectionOutput } from "../core/option-schema.ts";
import { choice, remoteAddress, text } from "../core/option-values.ts";
import { secretText } from "../core/read-secret.ts";

/** How a connection to a store begins. `implicit`: with TLS, as on ports 993, 995 and 465. */
export const SERVICE_TLS = ["none", "starttls", "implicit"] as const;

type TcpEndpoint = Extract<Endpoint, { kind: "tcp" }>;

/** Where users of a store log in, in one protocol. */
export interface ServiceOptions {
  readonly address: TcpEndpoint;
  readonly tls: (typeof SERVICE_TLS)[number];
  /** Who may log in as anybody: for moves. */
  readonly master?: { readonly user: string; readonly password: string };
}

/** Neither nginx nor a proxying Dovecot can be sent to a unix socket. */
const tcpAddress = (): OptionSchema<TcpEndpoint> =>
  v.pipe(
    remoteAddress(),
    v.rawTransform(({ dataset, addIssue, NEVER }): TcpEndpoint => {
      if (dataset.value.kind === "tcp") return dataset.value;
      addIssue({ message: "logins go over TCP: expected host:port or [v6]:port" });
      return NEVER;
    }),
  );

const entries = {
  tls: withDefault(choice(SERVICE_TLS), "none", {
    description:
      "How a connection to it begins. nginx, asking an `auth-http` listener, speaks to stores without TLS whatever stands here.",
  }),
  master_user: optional(text(), {
    description:
      "Who may log in as any user of the store: for moves, and for tables that say `master_login`. Never told to nginx, " +
      "since nobody has checked a password by then.",
    example: "mailshunt",
  }),
  password: optional(secretText(), {
    description: "Its password: the text itself, `{ file: /path }` or `{ env: NAME }`.",
    example: "{ file: /etc/mailshunt/master.password }",
  }),
} satisfies SectionEntries;

/** @param port for the sample */
export function serviceSchema(port: number): OptionSchema<ServiceSection> {
  return v.pipe(
    section({
      address: required(tcpAddress(), {
        description:
          "Where the store listens: `host:port` or `[v6]:port`. A name is looked up once in 30 s; while it cannot be, logins have to wait.",
        example: `"10.0.0.1:${port}"`,
      }),
      ...entries,
    }),
    v.rawCheck(({ dataset, addIssue }) => {
      // A password that cannot be read, or is misspelt, is reported already.
      if (!dataset.typed || dataset.issues !== undefined) return;
      const { master_user: user, password } = dataset.value;
      if (user === undefined && password !== undefined) addIssue({ message: '"password" needs a "master_user"' });
      if (user !== undefined && password === undefined) addIssue({ message: '"master_user" needs a "password"' });
    }),
  );
}

export type ServiceSection = SectionOutput<typeof entries> & { readonly address: TcpEndpoint };

export const toServiceOptions = ({ address, tls, master_user: user, password }: ServiceSection): ServiceOptions => ({
  address,
  tls,
  ...(user === undefined || password === undefined ? {} : { master: { user, password } }),
});
