import type { InferOutput } from "valibot";
import type { Endpoint } from "../core/endpoint.ts";
import { list, optional, required, section, withDefault } from "../core/option-schema.ts";
import { address, choice, count, network, permissions, text } from "../core/option-values.ts";

export interface ListenerOptions {
  readonly protocol: "lmtp";
  readonly address: Endpoint;
  /** Owner, group and mode of a unix socket; undefined leaves what the system gives. */
  readonly owner: string | undefined;
  readonly group: string | undefined;
  /** Mode bits, such as 0o660. */
  readonly permissions: number | undefined;
  /** Networks whose XFORWARD we take, in CIDR; clients of a unix socket are always trusted. */
  readonly trustedNetworks: readonly string[];
  readonly maxConnections: number;
  /** Per client address; not counted on unix sockets. */
  readonly maxConnectionsPerAddress: number;
}

const LOOPBACK: readonly string[] = ["127.0.0.0/8", "::1/128"];

export const listenerSchema = section({
  protocol: required(choice(["lmtp"]), { description: "What is spoken there.", example: "lmtp" }),
  address: required(address(), {
    description: "Where we listen: `unix:/path`, `host:port` or `[v6]:port`.",
    example: "unix:/run/mailshunt/lmtp",
  }),
  owner: optional(text("a user's name or number"), { description: "Owner of a unix socket.", example: "postfix" }),
  group: optional(text("a group's name or number"), { description: "Group of a unix socket.", example: "postfix" }),
  permissions: optional(permissions(), {
    description: "Mode of a unix socket, in octal: `0660`, `660` and `0o660` are the same, quoted or not.",
    example: '"0660"',
  }),
  trusted_networks: withDefault(list(network(), "[10.0.0.0/8]"), () => LOOPBACK, {
    description:
      "Networks whose XFORWARD we take, and pass on. Clients of a unix socket are always trusted. `[]` trusts nobody over TCP.",
    defaultText: '[127.0.0.0/8, "::1/128"]',
  }),
  max_connections: withDefault(count(1, 1_000_000), "10000", { description: "Connections at once." }),
  max_connections_per_address: withDefault(count(1, 1_000_000), "10000", {
    description:
      "Connections at once from one client address; not counted on unix sockets. As many as `max_connections`, " +
      "because all mail of one Postfix comes from one address.",
  }),
});

export type ListenerSection = InferOutput<typeof listenerSchema>;

export const toListenerOptions = (given: ListenerSection): ListenerOptions => ({
  protocol: given.protocol,
  address: given.address,
  owner: given.owner,
  group: given.group,
  permissions: given.permissions,
  trustedNetworks: given.trusted_networks,
  maxConnections: given.max_connections,
  maxConnectionsPerAddress: given.max_connections_per_address,
});
