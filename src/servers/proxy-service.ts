import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Deliveries, Delivery } from "../relay/deliveries.ts";
import type { Parking } from "../relay/parking.ts";
import { Transaction } from "../relay/transaction.ts";
import type { World } from "../relay/world.ts";
import type { LmtpService } from "./service.ts";

export interface ProxyServiceParts {
  /** The configuration in force: asked anew for every message. */
  readonly world: () => World;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliveries: Deliveries;
  readonly parking: Parking;
  /** See `TransactionContext`. */
  readonly onUncertain: (delivery: Delivery) => Promise<void>;
}

/** The LMTP proxy as a service behind a listener. */
export function createProxyService({ world, ...parts }: ProxyServiceParts): LmtpService {
  return {
    get limits() {
      return world().lmtp;
    },
    announcement: (isTrustedClient) => world().announcement(isTrustedClient),
    begin: (mail, { session, address }, onDrain) =>
      new Transaction(mail, { ...parts, world: world(), session, client: address ?? "unix", onDrain }),
  };
}
