import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Aggregator, MetricObjectWithValues, MetricValue } from "prom-client";
import type { LogEntry } from "../core/log.ts";
import type { LookupResult, Metrics } from "../core/metrics.ts";

/** What is read when somebody asks. Names of backends are few; users and addresses are never labels. */
export interface MetricsState {
  readonly version: string;
  connections(): ReadonlyMap<string, number>;
  /** Recipients on their way. */
  deliveriesUnderWay(): number;
  /** Recipients that wait for the end of a hold. */
  deliveriesParked(): number;
  backends(): readonly BackendState[];
  /** What clients of listeners may ask. */
  servedTables(): readonly { readonly protocol: string; readonly table: string }[];
  reloads(): { readonly succeeded: number; readonly failed: number };
  /** Undefined where the configuration has none. Rejects when it cannot tell. */
  directory(): Promise<DirectoryState | undefined>;
}

export interface DirectoryState {
  readonly holds: number;
  /** Age in ms; 0 where nobody is held. */
  readonly oldestHoldMs: number;
  /** Entries by backend, those of missing ones included. */
  readonly users: ReadonlyMap<string, number>;
  /** Those under way by phase, and those that have ended since the start by how. */
  readonly moves: { readonly active: ReadonlyMap<string, number>; readonly ended: ReadonlyMap<string, number> };
}

export interface BackendState {
  readonly name: string;
  readonly isUp: boolean;
  /** An operator has taken it out. */
  readonly isDisabled: boolean;
  readonly openSessions: number;
  readonly idleSessions: number;
}

export interface MetricsPage extends Metrics {
  readonly contentType: string;
  /** What this process has counted, for another to add up. */
  collect(): Promise<MetricsJson>;
  /** Of this process and others together. */
  render(others: readonly MetricsJson[]): Promise<string>;
}

export type MetricsJson = readonly MetricObjectWithValues<MetricValue<string>>[];

/** The sums of what only grows; what is only so now is left out. */
export function addCounters(a: MetricsJson, b: MetricsJson): MetricsJson {
  const sums = new Map<string, MetricsJson[number]>();
  for (const metric of [...a, ...b]) {
    // The types say that it is a number.
    if (!["counter", "histogram"].includes(String(metric.type))) continue;
    const known = sums.get(metric.name);
    const values = new Map((known?.values ?? []).map((each) => [seriesOf(each), each]));
    for (const each of metric.values) {
      const value = each.value + (values.get(seriesOf(each))?.value ?? 0);
      values.set(seriesOf(each), { ...each, value });
    }
    sums.set(metric.name, { ...metric, values: [...values.values()] });
  }
  return [...sums.values()];
}

const seriesOf = ({ labels, ...rest }: MetricValue<string>): string =>
  JSON.stringify(["metricName" in rest ? rest.metricName : "", labels]);

const DELIVERY_RESULTS = ["sent", "deferred", "bounced", "uncertain"] as const;
const LOOKUP_RESULTS: readonly LookupResult[] = ["found", "absent", "failed"];
/** From a database on this machine to the longest that a table may take. */
const WAIT_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** How late turns of the event loop were, 10 ms of sampling included: those of prom-client. */
const EVENT_LOOP_LAG = "nodejs_eventloop_lag_";

/** Of several processes that of the worst counts: the mean of a busy and of idle ones would hide it. */
const withWorst = (metric: MetricsJson[number]): MetricsJson[number] => ({
  ...metric,
  aggregator: metric.name.includes("_min_") ? "min" : "max",
});

/** Counts in plain numbers, and makes Prometheus' text of them when it is asked for. */
export function createMetrics(state: MetricsState): MetricsPage {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const deliveries = new Map<string, Record<(typeof DELIVERY_RESULTS)[number], number>>();
  /** By protocol, then by table: to make one key of both would cost more than all else here. */
  const lookups = new Map<string, Map<string, Record<LookupResult, number>>>();

  const info = new Gauge({
    name: "mailshunt_build_info",
    help: "Always 1; the version is a label.",
    labelNames: ["version"],
    registers: [registry],
    aggregator: "first",
  });
  info.set({ version: state.version }, 1);

  newCounter(
    "mailshunt_lmtp_recipients_total",
    "Recipients answered for good; backend none: no store was asked.",
    ["backend", "result"],
    (counter) => {
      for (const name of ["none", ...state.backends().map((backend) => backend.name)]) resultsOf(name);
      for (const [backend, results] of deliveries)
        for (const result of DELIVERY_RESULTS) counter.inc({ backend, result }, results[result]);
    },
  );
  newCounter(
    "mailshunt_lookups_total",
    "Lookups of table clients answered.",
    ["protocol", "table", "result"],
    (counter) => {
      for (const { protocol, table } of state.servedTables()) lookupsOf(protocol, table);
      for (const [protocol, tables] of lookups)
        for (const [table, results] of tables)
          for (const result of LOOKUP_RESULTS) counter.inc({ protocol, table, result }, results[result]);
    },
  );
  const waits = new Histogram({
    name: "mailshunt_lookup_wait_seconds",
    help: "Time that lookups took which could not be answered at once.",
    labelNames: ["protocol", "table"],
    buckets: WAIT_BUCKETS_SECONDS,
    registers: [registry],
  });
  newGauge("mailshunt_connections", "Clients connected.", ["protocol"], (gauge) => {
    for (const [protocol, connections] of state.connections()) gauge.set({ protocol }, connections);
  });
  newGauge("mailshunt_deliveries_under_way", "Recipients on their way to a store.", [], (gauge) =>
    gauge.set({}, state.deliveriesUnderWay()),
  );
  newGauge("mailshunt_deliveries_parked", "Recipients that wait for the end of a hold.", [], (gauge) =>
    gauge.set({}, state.deliveriesParked()),
  );
  newCounter("mailshunt_reloads_total", "Reloads of the configuration.", ["result"], (counter) => {
    const { succeeded, failed } = state.reloads();
    counter.inc({ result: "succeeded" }, succeeded);
    counter.inc({ result: "failed" }, failed);
  });
  newGauge(
    "mailshunt_backend_disabled",
    "1 while an operator has taken the store out.",
    ["backend"],
    (gauge) => {
      for (const { name, isDisabled } of state.backends()) gauge.set({ backend: name }, isDisabled ? 1 : 0);
    },
    "max",
  );
  newGauge(
    "mailshunt_backend_up",
    "1 while the store answers.",
    ["backend"],
    (gauge) => {
      for (const { name, isUp } of state.backends()) gauge.set({ backend: name }, isUp ? 1 : 0);
    },
    "min",
  );
  newGauge("mailshunt_backend_sessions", "Sessions with the store.", ["backend", "state"], (gauge) => {
    for (const { name, openSessions, idleSessions } of state.backends()) {
      gauge.set({ backend: name, state: "busy" }, openSessions - idleSessions);
      gauge.set({ backend: name, state: "idle" }, idleSessions);
    }
  });

  /** Undefined: none is configured. */
  let directory: DirectoryState | "failed" | undefined;
  newGauge(
    "mailshunt_directory_up",
    "1 while the directory answers.",
    [],
    (gauge) => {
      if (directory === undefined) gauge.remove({});
      else gauge.set({}, directory === "failed" ? 0 : 1);
    },
    "max",
  );
  newDirectoryGauge("mailshunt_directory_users", "Entries in the directory.", ["backend"], (gauge, { users }) => {
    for (const { name } of state.backends()) gauge.set({ backend: name }, 0);
    for (const [backend, entries] of users) gauge.set({ backend }, entries);
  });
  newDirectoryGauge("mailshunt_holds", "Holds of users.", [], (gauge, { holds }) => gauge.set({}, holds));
  newDirectoryGauge(
    "mailshunt_hold_oldest_age_seconds",
    "Age of the oldest hold; 0 where nobody is held.",
    [],
    (gauge, { oldestHoldMs }) => gauge.set({}, oldestHoldMs / 1000),
  );

  newDirectoryGauge("mailshunt_moves_active", "Moves that have not ended.", ["phase"], (gauge, { moves }) => {
    for (const [phase, count] of moves.active) gauge.set({ phase }, count);
  });
  newCounter("mailshunt_moves_ended_total", "Moves that have ended.", ["outcome"], (counter) => {
    if (directory === undefined || directory === "failed") return;
    for (const [outcome, count] of directory.moves.ended) counter.inc({ outcome }, count);
  });

  function newDirectoryGauge(
    name: string,
    help: string,
    labelNames: string[],
    fill: (gauge: Gauge, found: DirectoryState) => void,
  ): void {
    newGauge(
      name,
      help,
      labelNames,
      (gauge) => {
        // A gauge without labels would say 0, which is not known.
        if (directory === undefined || directory === "failed") gauge.remove({});
        else fill(gauge, directory);
      },
      "max",
    );
  }

  function newCounter(name: string, help: string, labelNames: string[], fill: (counter: Counter) => void): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        fill(this);
      },
    });
  }

  /** @param aggregator of several processes */
  function newGauge(
    name: string,
    help: string,
    labelNames: string[],
    fill: (gauge: Gauge) => void,
    aggregator: Aggregator = "sum",
  ): void {
    new Gauge({
      aggregator,
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        fill(this);
      },
    });
  }

  function resultsOf(backend: string): Record<(typeof DELIVERY_RESULTS)[number], number> {
    let results = deliveries.get(backend);
    if (results === undefined) {
      results = { sent: 0, deferred: 0, bounced: 0, uncertain: 0 };
      deliveries.set(backend, results);
    }
    return results;
  }

  function lookupsOf(protocol: string, table: string): Record<LookupResult, number> {
    let tables = lookups.get(protocol);
    if (tables === undefined) {
      tables = new Map();
      lookups.set(protocol, tables);
    }
    let results = tables.get(table);
    if (results === undefined) {
      results = { found: 0, absent: 0, failed: 0 };
      tables.set(table, results);
    }
    return results;
  }

  async function collect(): Promise<MetricsJson> {
    await lookAtDirectory();
    const metrics = await registry.getMetricsAsJSON();
    return metrics.map((metric) => (metric.name.startsWith(EVENT_LOOP_LAG) ? withWorst(metric) : metric));
  }

  async function lookAtDirectory(): Promise<void> {
    directory = await state.directory().catch(() => "failed" as const);
  }

  return {
    onEntry(entry: LogEntry) {
      if (entry.kind === "delivery") resultsOf(entry.backend)[entry.status] += 1;
    },
    onLookup(protocol, table, result, waitedMs) {
      lookupsOf(protocol, table)[result] += 1;
      if (waitedMs !== undefined) waits.observe({ protocol, table }, waitedMs / 1000);
    },
    contentType: registry.contentType,
    collect,
    async render(others) {
      if (others.length > 0)
        return AggregatorRegistry.aggregate([await collect(), ...others].map((each) => [...each])).metrics();
      // Once alone: to read the event loop's delay is to begin it anew.
      await lookAtDirectory();
      return registry.metrics();
    },
  };
}
