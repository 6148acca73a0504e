import type { AdminServices, BackendStatus, ReloadOutcome } from "./admin/services.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import type { Clock } from "./core/clock.ts";
import type { MetricsPage } from "./observe/metrics.ts";
import type { Deliveries } from "./relay/deliveries.ts";
import type { Parking } from "./relay/parking.ts";
import { createRouter } from "./routing/router.ts";
import type { RouterQuestion } from "./routing/router.ts";
import type { Running } from "./running.ts";
import type { Holding } from "./holding.ts";
import type { ListenerSet } from "./servers/listener-set.ts";

export interface AdminServicesParts {
  readonly version: string;
  readonly clock: Clock;
  readonly running: () => Running;
  readonly holding: () => Holding | undefined;
  readonly listeners: ListenerSet;
  readonly deliveries: Deliveries;
  readonly parking: Parking;
  readonly metrics: MetricsPage;
  readonly disabledBackends: Set<string>;
  readonly reload: () => Promise<ReloadOutcome>;
  readonly reloadCount: () => number;
  readonly isStopping: () => boolean;
}

/** What the admin API is made of, read from the running daemon at each request. */
export function createAdminServices(parts: AdminServicesParts): AdminServices {
  const { clock, running, holding, listeners, deliveries, parking } = parts;
  const startedMs = clock.nowMs();

  return {
    clock,
    status: () => ({
      version: parts.version,
      pid: process.pid,
      uptimeMs: clock.nowMs() - startedMs,
      configuration: running().config.source.path,
      reloads: parts.reloadCount(),
      listeners: listeners.status.map(({ options, address, connectionCount }) => ({
        protocol: options.protocol,
        address: formatEndpoint(address),
        connections: connectionCount,
      })),
      deliveriesUnderWay: deliveries.count,
      parked: parking.count,
    }),
    deliveries(limit) {
      const nowMs = clock.nowMs();
      return [...deliveries.all()]
        .sort((a, b) => a.sinceMs - b.sinceMs)
        .slice(0, limit)
        .map(({ user, session, backend, stage, sinceMs }) => ({
          user,
          session,
          backend,
          stage,
          ageMs: nowMs - sinceMs,
        }));
    },
    backends: () => backendsOf(running(), parts.disabledBackends),
    setBackendDisabled(name, isDisabled) {
      const isKnown = running().world.pools.has(name);
      if (!isDisabled) return parts.disabledBackends.delete(name) || isKnown;
      if (isKnown) parts.disabledBackends.add(name);
      return isKnown;
    },
    userKeyOf: (given) => running().world.router.userKeyOf(toWire(given)),
    async route(address) {
      const { world, config } = running();
      const questions: RouterQuestion[] = [];
      const route = await world.router.route(toWire(address), (question) => questions.push(question));
      const backend = route.kind === "deliver" ? config.backends.get(route.backend) : undefined;
      return { route, questions, lmtp: backend && formatEndpoint(backend.lmtp) };
    },
    async routeByTables(user) {
      const { config, tables } = running();
      const hasBackend = (name: string): boolean => config.backends.has(name);
      return createRouter({ options: config.routing, tables: tables.exact, hasBackend }).route(toWire(user));
    },
    loginPlace: (backend, service) => running().config.backends.get(backend)?.[service],
    table: (name) => running().tables.ruled.get(name),
    tableNames: () => [...running().tables.ruled.keys()],
    flush() {
      for (const table of running().tables.ruled.values()) table.flush?.();
      for (const table of running().tables.exact.values()) table.flush?.();
    },
    reload: parts.reload,
    get authority() {
      return running().config.routing.authority;
    },
    get directory() {
      return holding()?.directory;
    },
    get moves() {
      return holding()?.moves;
    },
    get holds() {
      return holding()?.keeper;
    },
    metrics: async () => ({ contentType: parts.metrics.contentType, text: await parts.metrics.render() }),
    isReady: () => !parts.isStopping(),
  };
}

export function backendsOf({ world }: Running, disabled: ReadonlySet<string>): BackendStatus[] {
  return [...world.pools.values()].map((pool) => ({
    name: pool.options.name,
    lmtp: formatEndpoint(pool.options.lmtp),
    trouble: pool.trouble,
    isDisabled: disabled.has(pool.options.name),
    openSessions: pool.openCount,
    idleSessions: pool.idleCount,
  }));
}

/** The router takes an address as it comes over the wire: one character a byte. */
const toWire = (given: string): string => Buffer.from(given).toString("latin1");
