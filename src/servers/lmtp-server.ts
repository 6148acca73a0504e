import { randomInt } from "node:crypto";
import { BlockList, isIPv6 } from "node:net";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Quotas } from "../core/quota.ts";
import { encodeReply, reply } from "../protocols/lmtp/reply.ts";
import { ConnectionServer } from "./connection-server.ts";
import { LmtpConnection } from "./lmtp-connection.ts";
import type { LmtpListener } from "./options.ts";
import type { LmtpService } from "./service.ts";

export interface LmtpServerParts {
  readonly listener: LmtpListener;
  readonly service: LmtpService;
  readonly clock: Clock;
  readonly log: Log;
  /** See `ConnectionServer`. */
  readonly quotas?: Quotas | undefined;
}

const TOO_MANY_CONNECTIONS = encodeReply(reply(421, "4.3.2", "Too many connections, try again later"));

/** Begins the ids of all sessions of this process, so that those of two processes differ. */
const SESSION_PREFIX = randomInt(36 ** 4, 36 ** 5)
  .toString(36)
  .toUpperCase();
let sessionCount = 0;

function nextSession(): string {
  sessionCount += 1;
  return SESSION_PREFIX + sessionCount.toString(36).toUpperCase().padStart(4, "0");
}

/** Serves LMTP to the clients of one listener. */
export function createLmtpServer({ listener, service, clock, log, quotas }: LmtpServerParts): ConnectionServer {
  const trusted = toBlockList(listener.trustedNetworks);
  return new ConnectionServer({
    limits: listener,
    quotas,
    refusal: TOO_MANY_CONNECTIONS,
    part: "lmtp",
    log,
    connect: (socket, address, onClosed) =>
      new LmtpConnection(socket, {
        service,
        session: nextSession(),
        address,
        // Clients of a unix socket have no address and are trusted: its mode decides who they are.
        isTrusted: address === undefined || trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4"),
        clock,
        log,
        onClosed,
      }),
  });
}

function toBlockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    list.addSubnet(address, Number(prefix ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return list;
}
