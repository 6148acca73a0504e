import type { AdminServices, ReloadOutcome } from "./admin/services.ts";
import { formatEndpoint } from "./core/endpoint.ts";
import type { Clock } from "./core/clock.ts";
import type { Engine } from "./engine.ts";
import { createRouter } from "./routing/router.ts";
import type { RouterQuestion } from "./routing/router.ts";
import type { Holding } from "./holding.ts";
import { addUp, flushTables, reportOf } from "./reporting.ts";
import type { Report } from "./reporting.ts";
import type { WorkerSet } from "./workers/worker-set.ts";

export interface AdminServicesParts {
  readonly version: string;
  readonly clock: Clock;
  readonly holding: () => Holding | undefined;
  readonly engine: Engine;
  /** Undefined where this process does all. */
  readonly workers: () => WorkerSet | undefined;
  readonly reload: () => Promise<ReloadOutcome>;
  readonly reloadCount: () => number;
  readonly failedReload: () => ReloadOutcome | undefined;
  readonly isStopping: () => boolean;
}

/** What the admin API is made of, read from the running daemon at each request. */
export function createAdminServices(parts: AdminServicesParts): AdminServices {
  const { clock, engine, workers, holding, version } = parts;
  const startedMs = clock.nowMs();

  async function report(maxDeliveries: number): Promise<Report> {
    const others = (await workers()?.roster.reports(maxDeliveries)) ?? [];
    return addUp([reportOf(engine, maxDeliveries, clock), ...others], maxDeliveries);
  }

  return {
    clock,
    version,
    async status(maxDeliveries) {
      const { connections, ...rest } = await report(maxDeliveries);
      const counts = new Map(connections);
      return {
        ...rest,
        version,
        pid: process.pid,
        uptimeMs: clock.nowMs() - startedMs,
        configuration: engine.inEffect().config.source.path,
        reloads: parts.reloadCount(),
        failedReload: parts.failedReload(),
        workers: workers()?.pids ?? [],
        listeners: engine.listeners.status.map(({ options, address }) => ({
          protocol: options.protocol,
          address: formatEndpoint(address),
          connections: counts.get(formatEndpoint(options.address)) ?? 0,
        })),
      };
    },
    backends: async () => (await report(0)).backends,
    backendNames: () => [...engine.inEffect().world.pools.keys()],
    setBackendDisabled(name, isDisabled) {
      const isKnown = engine.inEffect().world.pools.has(name);
      const hasChanged = isDisabled ? isKnown : engine.disabledBackends.delete(name) || isKnown;
      if (isDisabled && isKnown) engine.disabledBackends.add(name);
      if (hasChanged) workers()?.roster.tellAll({ kind: "backend", name, isDisabled });
      return hasChanged;
    },
    userKeyOf: (given) => engine.inEffect().world.router.userKeyOf(toWire(given)),
    async route(address) {
      const { world, config } = engine.inEffect();
      const questions: RouterQuestion[] = [];
      const route = await world.router.route(toWire(address), (question) => questions.push(question));
      const backend = route.kind === "deliver" ? config.backends.get(route.backend) : undefined;
      return { route, questions, lmtp: backend && formatEndpoint(backend.lmtp) };
    },
    async routeByTables(user) {
      const { config, tables } = engine.inEffect();
      const hasBackend = (name: string): boolean => config.backends.has(name);
      return createRouter({ options: config.routing, tables: tables.exact, hasBackend }).route(toWire(user));
    },
    loginPlace: (backend, service) => engine.inEffect().config.backends.get(backend)?.[service],
    table: (name) => engine.inEffect().tables.ruled.get(name),
    tableNames: () => [...engine.inEffect().tables.ruled.keys()],
    flush() {
      flushTables(engine);
      workers()?.roster.tellAll({ kind: "flush" });
    },
    reload: parts.reload,
    get authority() {
      return engine.inEffect().config.routing.authority;
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
    async metrics() {
      const { metrics } = engine;
      return {
        contentType: metrics.contentType,
        text: await metrics.render((await workers()?.roster.metrics()) ?? []),
      };
    },
    isReady: () => !parts.isStopping(),
  };
}

/** The router takes an address as it comes over the wire: one character a byte. */
const toWire = (given: string): string => Buffer.from(given).toString("latin1");
