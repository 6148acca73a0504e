import * as v from "valibot";
import { didYouMean } from "../core/closest-name.ts";
import { jsonEndpoint, rawEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { countHolds } from "./count-holds.ts";
import type { Author } from "../directory/directory.ts";
import { noSuchBackend } from "./directory-requests.ts";
import { Problem } from "./problem.ts";
import { authorEntries, delivery, ms, name, time, toTime, whole, wholeText } from "./schemas.ts";
import type { AdminServices, ReloadOutcome } from "./services.ts";
import type { BackendStatus } from "../observe/status.ts";

const DEFAULT_DELIVERIES = 100;
const MAX_DELIVERIES = 10_000;

const backend = v.object({
  name: v.string(),
  lmtp: v.string(),
  state: v.picklist(["up", "down", "disabled"]),
  trouble: v.optional(v.string()),
  /** Where the directory keeps it. */
  disabled: v.optional(v.object({ since: time, who: v.string(), why: v.string() })),
  sessions: v.object({ open: whole, idle: whole }),
});

const statusResult = v.object({
  version: v.string(),
  pid: whole,
  uptime_ms: ms,
  configuration: v.string(),
  reloads: whole,
  /** The last reload, where it failed: what was in effect before it stays. */
  failed_reload: v.optional(v.object({ number: whole, reasons: v.array(v.string()) })),
  workers: v.array(whole),
  listeners: v.array(v.object({ protocol: v.string(), address: v.string(), connections: whole })),
  backends: v.array(backend),
  deliveries: v.object({ under_way: whole, parked: whole, oldest: v.array(delivery) }),
  holds: v.optional(whole),
  users: v.optional(v.record(v.string(), whole)),
  /** Those under way by phase. */
  moves: v.optional(v.record(v.string(), whole)),
});

const answer = v.object({
  answer: v.picklist(["found", "absent", "failed"]),
  value: v.optional(v.string()),
  values: v.optional(v.array(v.string())),
  reason: v.optional(v.string()),
});

/** Faults are told by `reload` itself, all of them. */
const MAX_REASONS = 3;

const toFailedReload = ({ number, reasons }: ReloadOutcome): { number: number; reasons: string[] } => ({
  number,
  reasons: reasons.slice(0, MAX_REASONS),
});

/** What the daemon is, does and knows. */
export function daemonEndpoints(services: AdminServices): readonly Endpoint[] {
  function toResult({
    name: of,
    lmtp,
    trouble,
    isDisabled,
    openSessions,
    idleSessions,
  }: BackendStatus): v.InferOutput<typeof backend> {
    const kept = isDisabled ? services.directory?.backends.disabled().find((each) => each.backend === of) : undefined;
    return {
      name: of,
      lmtp,
      state: isDisabled ? "disabled" : trouble === undefined ? "up" : "down",
      ...(trouble === undefined ? {} : { trouble }),
      ...(kept === undefined ? {} : { disabled: { since: toTime(kept.sinceMs), who: kept.who, why: kept.why } }),
      sessions: { open: openSessions, idle: idleSessions },
    };
  }

  const backends = async (): Promise<v.InferOutput<typeof backend>[]> => (await services.backends()).map(toResult);

  /** In the directory first: what an operator was told must be so after a restart, too. @returns whether it is kept */
  async function setDisabled(backend: string, isDisabled: boolean, author: Author): Promise<boolean> {
    const { directory } = services;
    const isConfigured = services.backendNames().includes(backend);
    const isForgotten = directory?.backends.disabled().some((each) => each.backend === backend) === true;
    if (!isConfigured && (isDisabled || !isForgotten))
      throw new Problem(404, "No such backend", noSuchBackend(backend, services));
    await directory?.backends.setDisabled(backend, isDisabled, author);
    services.setBackendDisabled(backend, isDisabled);
    return directory !== undefined;
  }

  return [
    jsonEndpoint({
      method: "get",
      path: "/v1/status",
      summary: "The daemon, its backends, what is under way",
      query: v.strictObject({ deliveries: v.optional(wholeText) }),
      result: statusResult,
      async handle({ query }) {
        const { directory } = services;
        const holds = directory === undefined ? undefined : await countHolds(directory);
        const status = await services.status(Math.min(query.deliveries ?? DEFAULT_DELIVERIES, MAX_DELIVERIES));
        return {
          version: status.version,
          pid: status.pid,
          uptime_ms: Math.round(status.uptimeMs),
          configuration: status.configuration,
          reloads: status.reloads,
          ...(status.failedReload === undefined ? {} : { failed_reload: toFailedReload(status.failedReload) }),
          workers: [...status.workers],
          listeners: [...status.listeners],
          backends: status.backends.map(toResult),
          deliveries: {
            under_way: status.deliveriesUnderWay,
            parked: status.parked,
            oldest: status.deliveries.map(({ ageMs, backend: at, ...rest }) => ({
              ...rest,
              ...(at === undefined ? {} : { backend: at }),
              age_ms: Math.round(ageMs),
            })),
          },
          ...(directory === undefined || holds === undefined
            ? {}
            : {
                holds: holds.count,
                users: Object.fromEntries(directory.users.countByBackend()),
                moves: Object.fromEntries(directory.moves.countActive()),
              }),
        };
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/backends",
      summary: "The backends and how they are",
      result: v.object({ backends: v.array(backend) }),
      handle: async () => ({ backends: await backends() }),
    }),
    jsonEndpoint({
      method: "post",
      path: "/v1/backends/disabled",
      summary: "Take a backend out, so that its users hear 4xx, or in again",
      description: "`kept` is false where there is no directory: then it lasts until the daemon ends.",
      body: v.strictObject({ backend: name, disabled: v.boolean(), ...authorEntries }),
      result: v.object({ backends: v.array(backend), kept: v.boolean() }),
      async handle({ body }) {
        const isKept = await setDisabled(body.backend, body.disabled, { who: body.who, why: body.why });
        return { backends: await backends(), kept: isKept };
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/route",
      summary: "Where mail for an address goes, and why",
      query: v.strictObject({ address: name }),
      result: v.object({
        user_key: v.string(),
        decision: v.picklist(["deliver", "hold", "refuse", "unknown", "failed"]),
        backend: v.optional(v.string()),
        lmtp: v.optional(v.string()),
        answer: v.optional(v.picklist(["defer", "reject"])),
        reason: v.optional(v.string()),
        source: v.looseObject({ kind: v.string() }),
        asked: v.array(v.object({ table: v.string(), key: v.string(), ...answer.entries })),
      }),
      async handle({ query }) {
        const { route, questions, lmtp } = await services.route(query.address);
        return {
          user_key: route.userKey,
          decision: route.kind,
          ...(route.kind === "deliver" ? { backend: route.backend } : {}),
          ...(lmtp === undefined ? {} : { lmtp }),
          ...(route.kind === "unknown" ? { answer: route.answer } : {}),
          ...(route.kind === "failed" ? { reason: route.reason } : {}),
          source: route.kind === "unknown" ? { kind: "none" } : route.source,
          asked: questions.map(({ table, key, answer: given }) => ({ table, key, ...answerOf(given) })),
        };
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/query",
      summary: "Ask a table as its listeners do",
      query: v.strictObject({ table: name, key: v.string() }),
      result: answer,
      async handle({ query }) {
        return answerOf(await tableOf(services, query.table).lookup(query.key));
      },
    }),
    jsonEndpoint({
      method: "post",
      path: "/v1/flush",
      summary: "Empty the caches of all tables",
      result: v.object({ flushed: v.literal(true) }),
      handle() {
        services.flush();
        return { flushed: true as const };
      },
    }),
    jsonEndpoint({
      method: "post",
      path: "/v1/reload",
      summary: "Read the configuration anew; on any fault what is in effect stays",
      result: v.object({ number: whole, took_effect: v.boolean(), reasons: v.array(v.string()) }),
      async handle() {
        const { number, reasons } = await services.reload();
        return { number, took_effect: reasons.length === 0, reasons: [...reasons] };
      },
    }),
    rawEndpoint({
      method: "get",
      path: "/metrics",
      summary: "For Prometheus",
      gives: "text/plain",
      async handle(_query, context) {
        const { contentType, text } = await services.metrics();
        return context.body(text, 200, { "content-type": contentType });
      },
    }),
    rawEndpoint({
      method: "get",
      path: "/health",
      summary: "200 while the process runs; backends do not count",
      gives: "text/plain",
      handle: (_query, context) => context.text("ok\n"),
    }),
    rawEndpoint({
      method: "get",
      path: "/ready",
      summary: "200 while mail can be routed, 503 otherwise",
      gives: "text/plain",
      handle: (_query, context) => (services.isReady() ? context.text("ready\n") : context.text("not ready\n", 503)),
    }),
  ];
}

export function tableOf(services: AdminServices, of: string): NonNullable<ReturnType<AdminServices["table"]>> {
  const table = services.table(of);
  if (table !== undefined) return table;
  const names = services.tableNames();
  const known = names.length === 0 ? "there are none" : `known are ${names.join(", ")}${didYouMean(of, names)}`;
  throw new Problem(404, "No such table", `there is no table "${of}": ${known}`);
}

type TableAnswer = Awaited<ReturnType<NonNullable<ReturnType<AdminServices["table"]>>["lookup"]>>;

function answerOf(given: TableAnswer): v.InferOutput<typeof answer> {
  switch (given.kind) {
    case "found":
      return {
        answer: "found",
        value: given.value,
        ...(given.values === undefined ? {} : { values: [...given.values] }),
      };
    case "absent":
      return { answer: "absent" };
    case "failed":
      return { answer: "failed", reason: given.reason };
  }
}
