import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import * as v from "valibot";
import { createApp, endpointsOf } from "../../src/admin/app.ts";
import type { AdminServices, ReloadOutcome } from "../../src/admin/services.ts";
import type { BackendStatus, DeliveryStatus } from "../../src/observe/status.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { openDirectory } from "../../src/directory/open-directory.ts";
import { HoldKeeper } from "../../src/moves/hold-keeper.ts";
import { Deliveries } from "../../src/relay/deliveries.ts";
import { createRouter } from "../../src/routing/router.ts";
import type { RoutingOptions } from "../../src/routing/options.ts";
import { ABSENT } from "../../src/tables/table.ts";
import type { Answer, Table } from "../../src/tables/table.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import type { FakeClock } from "../support/fake-clock.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

export interface ApiOptions {
  readonly routing?: Partial<RoutingOptions>;
  readonly token?: string;
  /** Default: a real one in a folder of its own. */
  readonly hasDirectory?: false;
  /** Stands before the real one. */
  readonly wrap?: (directory: Directory) => Directory;
  readonly services?: Partial<AdminServices>;
}

export type RawBody = string | Uint8Array | ReadableStream<Uint8Array>;

export interface Answered {
  readonly status: number;
  readonly type: string;
  readonly headers: Headers;
  readonly text: string;
  /** The text as JSON; undefined where it is none. */
  readonly json: unknown;
}

/** The admin API in this process, before a real directory. */
export interface Api {
  readonly directory: Directory;
  readonly clock: FakeClock;
  readonly deliveries: Deliveries;
  readonly keeper: HoldKeeper;
  readonly services: AdminServices;
  readonly stopping: AbortController;
  /** What the log says. */
  readonly said: string[];
  readonly bugs: unknown[];
  readonly released: string[];
  /** Asks, and compares each 200 with the schema of its endpoint. */
  ask(
    method: string,
    path: string,
    options?: { body?: unknown; raw?: RawBody; headers?: Record<string, string> },
  ): Promise<Answered>;
}

const ADMIN = { who: "test", why: "" };
export { ADMIN };

export const BACKENDS: readonly BackendStatus[] = [
  { name: "old", lmtp: "unix:/run/old", trouble: undefined, isDisabled: false, openSessions: 3, idleSessions: 1 },
  { name: "new", lmtp: "10.0.0.2:24", trouble: "no answer", isDisabled: false, openSessions: 0, idleSessions: 0 },
];

const TABLE: Table = {
  name: "users",
  lookup: (key): Answer => {
    if (key === "broken") return { kind: "failed", reason: "the table is gone" };
    if (key === "many") return { kind: "found", value: "old, new", values: ["old", "new"] };
    return key.startsWith("t") ? { kind: "found", value: "old" } : ABSENT;
  },
};

export async function startApi(t: TestContext, options: ApiOptions = {}): Promise<Api> {
  const clock = createFakeClock();
  const real = await openDirectory({ store: { kind: "sqlite", path: join(scratchFolder(t), "directory.db") } }, clock);
  const directory = options.wrap?.(real) ?? real;
  const deliveries = new Deliveries();
  const said: string[] = [];
  const bugs: unknown[] = [];
  const released: string[] = [];
  const keeper = new HoldKeeper({
    directory,
    deliveries,
    clock,
    options: () => ({
      hold: { parkMs: 0, maxParked: 0, deadlineMs: 900_000 },
      drain: { graceMs: 5_000, settleMs: 60_000, timeoutMs: 600_000 },
    }),
    say: (level, text) => said.push(`${level}: ${text}`),
    onReleased: (user) => released.push(user),
  });
  t.after(async () => {
    await keeper.close();
    await real.close();
  });
  const routing: RoutingOptions = {
    key: "localpart",
    recipientDelimiter: "+",
    tables: ["users"],
    unknown: "defer",
    ...options.routing,
  };
  const router = createRouter({
    directory,
    options: routing,
    tables: new Map([["users", TABLE]]),
    hasBackend: (name) => BACKENDS.some((backend) => backend.name === name),
  });
  const withoutEntries = createRouter({
    options: routing,
    tables: new Map([["users", TABLE]]),
    hasBackend: (name) => BACKENDS.some((backend) => backend.name === name),
  });
  const toWire = (given: string): string => Buffer.from(given).toString("latin1");
  const disabled = new Set<string>();
  const backends = (): BackendStatus[] =>
    BACKENDS.map((backend) => ({ ...backend, isDisabled: disabled.has(backend.name) }));
  const services: AdminServices = {
    clock,
    version: "1.2.3",
    status: (maxDeliveries) =>
      Promise.resolve({
        version: "1.2.3",
        pid: 4711,
        uptimeMs: 61_000.4,
        configuration: "/etc/mailshunt.yaml",
        reloads: 2,
        workers: [4712, 4713],
        listeners: [{ protocol: "lmtp", address: "127.0.0.1:24", connections: 2 }],
        backends: backends(),
        deliveriesUnderWay: deliveries.count,
        parked: 1,
        deliveries: [...deliveries.all()]
          .slice(0, maxDeliveries)
          .map(({ user, session, backend, stage, sinceMs }): DeliveryStatus => ({
            user,
            session,
            backend,
            stage,
            ageMs: clock.nowMs() - sinceMs,
          })),
      }),
    backends: () => Promise.resolve(backends()),
    backendNames: () => BACKENDS.map(({ name }) => name),
    setBackendDisabled(name, isDisabled) {
      if (!BACKENDS.some((backend) => backend.name === name)) return false;
      if (isDisabled) disabled.add(name);
      else disabled.delete(name);
      return true;
    },
    userKeyOf: (given) => router.userKeyOf(toWire(given)),
    async route(address) {
      const questions: Awaited<ReturnType<AdminServices["route"]>>["questions"][number][] = [];
      const route = await router.route(toWire(address), (question) => questions.push(question));
      const lmtp = route.kind === "deliver" ? BACKENDS.find(({ name }) => name === route.backend)?.lmtp : undefined;
      return { route, questions, lmtp };
    },
    routeByTables: async (user) => withoutEntries.route(toWire(user)),
    loginPlace: (backend, service) =>
      backend === "new"
        ? { address: { host: "10.0.0.2", port: service === "pop3" ? 110 : 143 }, tls: "none" }
        : undefined,
    table: (name) => (name === "users" ? TABLE : undefined),
    tableNames: () => ["users"],
    flush: () => undefined,
    reload: (): Promise<ReloadOutcome> => Promise.resolve({ number: 3, reasons: [] }),
    authority: routing.authority,
    directory: options.hasDirectory === false ? undefined : directory,
    holds: options.hasDirectory === false ? undefined : keeper,
    moves: undefined,
    metrics: () => Promise.resolve({ contentType: "text/plain; version=0.0.4", text: "mailshunt_build_info 1\n" }),
    isReady: () => true,
    ...options.services,
  };
  const stopping = new AbortController();
  const app = createApp(services, {
    bearerToken: options.token,
    onBug: (error) => bugs.push(error),
    stopping: stopping.signal,
  });
  const endpoints = endpointsOf(services, { stopping: stopping.signal, onBug: () => undefined });

  return {
    directory,
    clock,
    deliveries,
    keeper,
    services,
    stopping,
    said,
    bugs,
    released,
    async ask(method, path, { body, raw, headers = {} } = {}) {
      const sent = body === undefined ? raw : JSON.stringify(body);
      const response = await app.request(path, {
        method,
        headers,
        ...(sent === undefined ? {} : { body: sent, duplex: "half" }),
      });
      const text = await response.text();
      const type = response.headers.get("content-type") ?? "";
      const json: unknown = /json/.test(type) && text !== "" ? JSON.parse(text) : undefined;
      const endpoint = endpoints.find(
        (each) => each.method === method.toLowerCase() && each.path === path.replace(/\?.*$/s, ""),
      );
      if (response.status === 200 && endpoint?.result !== undefined) {
        // Valibot leaves out what a schema does not name: nothing may be said that is not described.
        assert.deepEqual(v.parse(endpoint.result, json), json);
      }
      if (response.status >= 400 && method !== "HEAD" && !type.startsWith("text/plain")) {
        assert.equal(type, "application/problem+json");
        const problem = json as { status: number; title: string; detail: string };
        assert.equal(problem.status, response.status);
        assert.equal(typeof problem.title, "string");
        assert.notEqual(problem.detail, "");
        assert.doesNotMatch(text, /node_modules|\.ts:\d+/);
      }
      return { status: response.status, type, headers: response.headers, text, json };
    },
  };
}

export const query = (path: string, given: Readonly<Record<string, string>>): string =>
  `${path}?${new URLSearchParams(given).toString()}`;

/** A delivery that a test ends by `deliveries.remove`. */
export function newDelivery(
  user: string,
  clock: FakeClock,
  more: { stage?: "asking" | "message" | "dot"; backend?: string } = {},
) {
  const cuts: string[] = [];
  return {
    user,
    session: "SESSION1",
    sinceMs: clock.nowMs(),
    backend: more.backend ?? "old",
    stage: more.stage ?? ("dot" as const),
    cuts,
    onAwaited: () => undefined,
    cut: (reason: string) => void cuts.push(reason),
  };
}
