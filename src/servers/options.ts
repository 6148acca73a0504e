import type { Endpoint } from "../core/endpoint.ts";

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
