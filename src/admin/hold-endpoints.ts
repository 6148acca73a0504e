import * as v from "valibot";
import type { Directory } from "../directory/directory.ts";
import type { DrainOutcome, Held, HoldKeeper } from "../moves/hold-keeper.ts";
import { directoryOf, keyOf, moveActive, toHold } from "./directory-requests.ts";
import { jsonEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { noDirectory, Problem } from "./problem.ts";
import {
  authorEntries,
  delivery,
  hold,
  ms,
  name,
  note,
  notOfMove,
  pageSize,
  time,
  toTime,
  waitMs,
  whole,
  wholeText,
} from "./schemas.ts";
import type { AdminServices } from "./services.ts";

const drain = v.variant("outcome", [
  v.object({ outcome: v.literal("drained"), waited_for: whole, cut: whole, settled_ms: ms }),
  v.object({ outcome: v.literal("under-way"), left: v.array(delivery) }),
  v.object({ outcome: v.literal("uncertain"), until: time, why: v.string() }),
  v.object({ outcome: v.literal("not-held"), why: v.string() }),
]);

/** Holds. A user may be given as an address: what counts is the router's user key of it. */
export function holdEndpoints(services: AdminServices, stopping: AbortSignal): readonly Endpoint[] {
  const nowMs = (): number => services.clock.wallMs();
  return [
    jsonEndpoint({
      method: "get",
      path: "/v1/holds",
      summary: "All holds in the order in which they were made or last extended, a page of them",
      query: v.strictObject({ after: v.optional(wholeText), limit: v.optional(wholeText) }),
      result: v.object({ holds: v.array(hold), next: v.optional(whole) }),
      handle({ query: { after, limit: asked } }) {
        const limit = pageSize(asked);
        const page = after === undefined ? { limit } : { limit, afterGeneration: after };
        const holds = directoryOf(services).holds.list(page);
        const last = holds.length < limit ? undefined : holds.at(-1)?.generation;
        return { holds: holds.map((each) => toHold(each, nowMs())), ...(last === undefined ? {} : { next: last }) };
      },
    }),
    jsonEndpoint({
      method: "post",
      path: "/v1/holds",
      summary: "Pauses a user's mail, and waits until nothing admitted before can reach a store",
      description: "`deadline_ms` counts from now. The user stays held when the client goes before the answer.",
      body: v.strictObject({
        user: name,
        owner: v.optional(notOfMove, "admin"),
        reason: v.optional(note(200), ""),
        deadline_ms: v.optional(waitMs),
        ...authorEntries,
      }),
      result: v.object({ hold, drain, warning: v.optional(v.string()) }),
      async handle({ body }) {
        const { holds } = keeperOf(services);
        const deadlineMs = body.deadline_ms === undefined ? undefined : nowMs() + body.deadline_ms;
        const given = { user: keyOf(services, body.user), owner: body.owner, reason: body.reason, deadlineMs };
        const author = { who: body.who, why: body.why === "" ? body.reason : body.why };
        const held = await unlessStopped(holds.hold(given, author), given.user, stopping);
        const warning = await doubtOf(services, given.user);
        return {
          hold: toHold(held.hold, nowMs()),
          drain: toDrain(held.outcome, services),
          ...(warning === undefined ? {} : { warning }),
        };
      },
    }),
    jsonEndpoint({
      method: "delete",
      path: "/v1/holds",
      summary: "Ends a hold; the user's mail goes on when it was the last one",
      query: v.strictObject({ user: name, owner: v.optional(name, "admin"), ...authorEntries }),
      result: v.object({ user: v.string(), released: v.boolean(), still_held: v.boolean() }),
      async handle({ query }) {
        const { directory, holds } = keeperOf(services);
        const key = keyOf(services, query.user);
        const result = await holds.release(key, query.owner, query);
        if (result.kind === "move-active") throw moveActive(result);
        const isStillHeld = directory.findHolds(key).length > 0;
        return { user: key, released: result.kind === "released", still_held: isStillHeld };
      },
    }),
  ];
}

/** Whoever mistypes a name holds nobody, and would go on as if the mailbox were quiet. */
async function doubtOf(services: AdminServices, user: string): Promise<string | undefined> {
  const { findBackend, users } = directoryOf(services);
  if (findBackend(user) !== undefined) return undefined;
  const route = await services.routeByTables(user);
  if (route.kind === "unknown") return "no table knows this user, and the directory has no entry";
  const isFallback = route.kind === "deliver" && route.source.kind === "fallback";
  return isFallback && users.countByBackend().size > 0
    ? "no table knows this user, and the directory, which has others, has no entry: the fallback counts"
    : undefined;
}

function keeperOf({ directory, holds }: AdminServices): { readonly directory: Directory; readonly holds: HoldKeeper } {
  if (directory === undefined || holds === undefined) throw noDirectory();
  return { directory, holds };
}

/** A drain may take longer than the daemon has left. */
async function unlessStopped(held: Promise<Held>, user: string, stopping: AbortSignal): Promise<Held> {
  const stopped = Promise.withResolvers<never>();
  const stop = (): void =>
    stopped.reject(
      new Problem(503, "Stopping", `the daemon stops: ${user} may be held, but is not known to be drained; hold again`),
    );
  if (stopping.aborted) stop();
  stopping.addEventListener("abort", stop);
  try {
    return await Promise.race([held, stopped.promise]);
  } finally {
    stopping.removeEventListener("abort", stop);
    // Whoever is not waited for any more must not end the process.
    held.catch(() => undefined);
  }
}

function toDrain(outcome: DrainOutcome, { clock }: AdminServices): v.InferOutput<typeof drain> {
  switch (outcome.kind) {
    case "drained":
      return {
        outcome: "drained",
        waited_for: outcome.waitedFor,
        cut: outcome.cut,
        settled_ms: Math.round(outcome.settledMs),
      };
    case "under-way":
      return {
        outcome: "under-way",
        left: outcome.left.map(({ user: of, session, backend, stage, sinceMs }) => ({
          user: of,
          session,
          ...(backend === undefined ? {} : { backend }),
          stage,
          age_ms: Math.max(0, Math.round(clock.nowMs() - sinceMs)),
        })),
      };
    case "uncertain":
      return { outcome: "uncertain", until: toTime(outcome.untilMs), why: outcome.why };
    case "not-held":
      return { outcome: "not-held", why: outcome.why };
  }
}
