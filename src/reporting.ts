import type { Clock } from "./core/clock.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import type { Engine } from "./engine.ts";
import type { BackendStatus, DeliveryStatus } from "./observe/status.ts";
import type { Deliveries } from "./relay/deliveries.ts";
import type { Running } from "./running.ts";
import type { WorkerReport } from "./workers/messages.ts";

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

export type Report = Omit<WorkerReport, "metrics">;

/** What this process serves. */
export function reportOf(engine: Engine, maxDeliveries: number, clock: Clock): Report {
  const { listeners, deliveries, parking, disabledBackends } = engine;
  return {
    connections: listeners.status.map(({ options, connectionCount }) => [
      formatEndpoint(options.address),
      connectionCount,
    ]),
    deliveriesUnderWay: deliveries.count,
    parked: parking.count,
    deliveries: oldestOf(deliveries, maxDeliveries, clock),
    backends: backendsOf(engine.inEffect(), disabledBackends),
  };
}

/** Of several processes with the same configuration. */
export function addUp(reports: readonly Report[], maxDeliveries: number): Report {
  const connections = new Map<string, number>();
  const backends = new Map<string, BackendStatus>();
  for (const report of reports) {
    for (const [address, count] of report.connections)
      connections.set(address, (connections.get(address) ?? 0) + count);
    for (const backend of report.backends) {
      const sum = backends.get(backend.name);
      backends.set(backend.name, sum === undefined ? backend : addBackends(sum, backend));
    }
  }
  return {
    connections: [...connections],
    deliveriesUnderWay: reports.reduce((sum, { deliveriesUnderWay }) => sum + deliveriesUnderWay, 0),
    parked: reports.reduce((sum, { parked }) => sum + parked, 0),
    deliveries: reports
      .flatMap(({ deliveries }) => deliveries)
      .sort((a, b) => b.ageMs - a.ageMs)
      .slice(0, maxDeliveries),
    backends: [...backends.values()],
  };
}

/** A store that one of us cannot reach is in trouble. */
const addBackends = (a: BackendStatus, b: BackendStatus): BackendStatus => ({
  ...a,
  trouble: a.trouble ?? b.trouble,
  openSessions: a.openSessions + b.openSessions,
  idleSessions: a.idleSessions + b.idleSessions,
});

function oldestOf(deliveries: Deliveries, limit: number, clock: Clock): readonly DeliveryStatus[] {
  const nowMs = clock.nowMs();
  return [...deliveries.all()]
    .sort((a, b) => a.sinceMs - b.sinceMs)
    .slice(0, limit)
    .map(({ user, session, backend, stage, sinceMs }) => ({ user, session, backend, stage, ageMs: nowMs - sinceMs }));
}

/** Empties every cache of this process. */
export function flushTables(engine: Engine): void {
  const { ruled, exact } = engine.inEffect().tables;
  for (const table of [...ruled.values(), ...exact.values()]) table.flush?.();
}
