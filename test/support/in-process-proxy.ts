import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import type { BackendOptions } from "../../src/backends/options.ts";
import { systemClock, type Clock } from "../../src/core/clock.ts";
import type { DeliveryRecord, LogEntry, LogMessage } from "../../src/core/log.ts";
import { Deliveries } from "../../src/relay/deliveries.ts";
import type { Delivery } from "../../src/relay/deliveries.ts";
import { Parking } from "../../src/relay/parking.ts";
import type { ParkingOptions } from "../../src/relay/parking.ts";
import type { LmtpOptions } from "../../src/relay/options.ts";
import { buildWorld, type World } from "../../src/relay/world.ts";
import type { RoutingOptions } from "../../src/routing/options.ts";
import type { RoutingDirectory } from "../../src/routing/router.ts";
import type { ConnectionServer } from "../../src/servers/connection-server.ts";
import { createLmtpServer } from "../../src/servers/lmtp-server.ts";
import type { LmtpListener } from "../../src/servers/options.ts";
import { createProxyService } from "../../src/servers/proxy-service.ts";
import { ABSENT, type Answer, type Table } from "../../src/tables/table.ts";
import type { FakeEndpoint } from "./fake-backend.ts";

export interface ProxyOptions {
  /** Backends by name; options other than their address have the defaults below. */
  readonly backends: Readonly<Record<string, FakeEndpoint | (Partial<BackendOptions> & Pick<BackendOptions, "lmtp">)>>;
  /** User key to value. Default: every user in the first backend, by the fallback. */
  readonly users?: Readonly<Record<string, string>>;
  /** In place of `users`. */
  readonly lookup?: (key: string) => Answer | Promise<Answer>;
  readonly routing?: Partial<RoutingOptions>;
  readonly lmtp?: Partial<LmtpOptions>;
  readonly listener?: Partial<LmtpListener>;
  readonly clock?: Clock;
  /** Default: no hold is waited for. */
  readonly parking?: ParkingOptions;
  readonly directory?: RoutingDirectory;
}

export interface Proxy {
  readonly endpoint: { readonly kind: "tcp"; readonly host: string; readonly port: number };
  readonly world: World;
  readonly server: ConnectionServer;
  readonly entries: LogEntry[];
  readonly deliveries: DeliveryRecord[];
  readonly underWay: Deliveries;
  readonly parking: Parking;
  /** Those of which the store may hold the message all the same. */
  readonly uncertain: Delivery[];
  readonly messages: LogMessage[];
  /** Resolves once so many delivery lines are written in all. */
  waitForDeliveries(count: number): Promise<void>;
  /** Builds the next world and swaps it in, as a reload does. */
  reload(options: Partial<ProxyOptions>): World;
  [Symbol.asyncDispose](): Promise<void>;
}

const TIMEOUTS = { connectMs: 5000, greetingMs: 5000, commandMs: 5000, dataMs: 5000, bodyMs: 5000, finalMs: 5000 };

function toBackend(name: string, given: ProxyOptions["backends"][string]): BackendOptions {
  const base = {
    name,
    maxConnections: 50,
    maxIdleConnections: 10,
    idleTimeoutMs: 30_000,
    slotTimeoutMs: 5000,
    lowercaseDomain: true,
    timeouts: TIMEOUTS,
  };
  return "kind" in given ? { ...base, lmtp: given } : { ...base, ...given };
}

/** The data path in this process, from listener to backends, without configuration file and command line. */
export async function startProxy(initial: ProxyOptions): Promise<Proxy> {
  const clock = initial.clock ?? systemClock;
  const entries: LogEntry[] = [];
  const waiters = new Set<{ count: number; resolve: () => void }>();
  const deliveries: DeliveryRecord[] = [];
  const log = {
    write(entry: LogEntry): void {
      entries.push(entry);
      if (entry.kind !== "delivery") return;
      deliveries.push(entry);
      for (const waiter of waiters) if (deliveries.length >= waiter.count) waiter.resolve();
    },
  };
  const context = {
    clock,
    log,
    hostname: "shunt.example",
    loopToken: "token-of-this-proxy",
    disabledBackends: new Set<string>(),
  };
  let options = initial;
  let generation = 0;

  const build = (previous: World | undefined): World => {
    generation += 1;
    const lookup =
      options.lookup ??
      ((key: string): Answer => {
        const value = options.users?.[key];
        return value === undefined ? ABSENT : { kind: "found", value };
      });
    const table: Table = { name: "users", lookup };
    const backends = Object.entries(options.backends).map(([name, given]) => [name, toBackend(name, given)] as const);
    const fallback = options.users === undefined && options.lookup === undefined ? backends[0]?.[0] : undefined;
    const routing: RoutingOptions = {
      key: "localpart",
      recipientDelimiter: "+",
      tables: ["users"],
      ...(fallback === undefined ? {} : { fallback }),
      unknown: "defer",
      ...options.routing,
    };
    const lmtp: LmtpOptions = {
      hostname: "shunt.example",
      maxMessageBytes: undefined,
      maxRecipients: 10_000,
      maxLineBytes: 4096,
      newlines: "normalize",
      idleTimeoutMs: 60_000,
      dataTimeoutMs: 5000,
      ...options.lmtp,
    };
    const parts = {
      generation,
      backends: new Map(backends),
      tables: new Map([["users", table]]),
      directory: initial.directory,
      routing,
      lmtp,
      context,
    };
    return buildWorld(parts, previous);
  };

  const underWay = new Deliveries();
  const uncertain: Delivery[] = [];
  const parking = new Parking(initial.parking ?? { parkMs: 0, maxParked: 0 }, clock);
  let world = build(undefined);
  const listener: LmtpListener = {
    protocol: "lmtp",
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    owner: undefined,
    group: undefined,
    permissions: undefined,
    trustedNetworks: ["127.0.0.0/8"],
    maxConnections: 10_000,
    maxConnectionsPerAddress: 10_000,
    ...initial.listener,
  };
  const service = createProxyService({
    world: () => world,
    clock,
    log,
    deliveries: underWay,
    parking,
    onUncertain(delivery) {
      uncertain.push(delivery);
      return Promise.resolve();
    },
  });
  const server = createLmtpServer({ listener, service, clock, log });
  const sockets = createServer({ allowHalfOpen: true }, (socket) => server.accept(socket));
  await new Promise<void>((resolve) => sockets.listen(0, "127.0.0.1", resolve));

  return {
    endpoint: { kind: "tcp", host: "127.0.0.1", port: (sockets.address() as AddressInfo).port },
    get world() {
      return world;
    },
    server,
    entries,
    deliveries,
    underWay,
    uncertain,
    parking,
    get messages() {
      return entries.filter((entry) => entry.kind === "message");
    },
    async waitForDeliveries(count) {
      if (deliveries.length >= count) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const waiter = { count, resolve };
      waiters.add(waiter);
      await promise;
      waiters.delete(waiter);
    },
    reload(changed) {
      options = { ...options, ...changed };
      const old = world;
      world = build(old);
      old.retire(world);
      return old;
    },
    async [Symbol.asyncDispose]() {
      server.destroy();
      world.destroy("the test is over");
      assert.equal(parking.count, 0, "somebody waits who is not there any more");
      assert.equal(underWay.count, 0, "a delivery is counted that is not under way any more");
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
    },
  };
}
