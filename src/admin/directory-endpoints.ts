import * as v from "valibot";
import type { Directory, Hold, MoveActive } from "../directory/directory.ts";
import type { DrainOutcome, HoldKeeper } from "../moves/hold-keeper.ts";
import { jsonEndpoint, rawEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { noDirectory, Problem } from "./problem.ts";
import { authorEntries, delivery, flagText, hold, ms, name, time, toTime, wholeText } from "./schemas.ts";
import type { AdminServices } from "./services.ts";
import { formatUsers, parseUsers } from "./user-lines.ts";

const user = v.object({ user: v.string(), backend: v.string() });
const report = v.object({
  dry_run: v.boolean(),
  read: v.number(),
  created: v.number(),
  changed: v.number(),
  unchanged: v.number(),
  repeated: v.number(),
  refused: v.number(),
  refusals: v.array(v.object({ user: v.string(), move: v.string() })),
  invalid: v.number(),
  faults: v.array(v.object({ entry: v.number(), fault: v.string() })),
});

const drain = v.variant("outcome", [
  v.object({ outcome: v.literal("drained"), waited_for: v.number(), cut: v.number(), settled_ms: ms }),
  v.object({ outcome: v.literal("under-way"), left: v.array(delivery) }),
  v.object({ outcome: v.literal("uncertain"), until: time, why: v.string() }),
]);

/** Users, holds and history. A user may be given as an address: what counts is the router's user key of it. */
export function directoryEndpoints(services: AdminServices): readonly Endpoint[] {
  return [...userEndpoints(services), ...holdEndpoints(services)];
}

function userEndpoints(services: AdminServices): readonly Endpoint[] {
  return [
    jsonEndpoint({
      method: "get",
      path: "/v1/users",
      summary: "Entries of the directory, a page of them",
      query: v.strictObject({
        backend: v.optional(name),
        prefix: v.optional(name),
        after: v.optional(name),
        limit: v.optional(wholeText),
      }),
      result: v.object({ users: v.array(user), next: v.optional(v.string()) }),
      handle({ query }) {
        const limit = Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE);
        const users = [...directoryOf(services).users.list({ ...present(query), limit })];
        const last = users.length < limit ? undefined : users.at(-1)?.user;
        return { users, ...(last === undefined ? {} : { next: last }) };
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/user",
      summary: "One user: entry, holds and active move",
      query: v.strictObject({ user: name }),
      result: v.object({
        user: v.string(),
        backend: v.optional(v.string()),
        holds: v.array(hold),
        move: v.optional(v.string()),
      }),
      handle({ query }) {
        const directory = directoryOf(services);
        const key = services.userKeyOf(query.user);
        const { backend, holds } = directory.find(key);
        const move = directory.moves.findActive(key);
        return {
          user: key,
          ...(backend === undefined ? {} : { backend }),
          holds: holds.map(toHold),
          ...(move === undefined ? {} : { move: move.id }),
        };
      },
    }),
    jsonEndpoint({
      method: "put",
      path: "/v1/user",
      summary: "Says where a user lives",
      body: v.strictObject({ user: name, backend: name, dry_run: v.optional(v.boolean(), false), ...authorEntries }),
      result: v.object({ user: v.string(), from: v.optional(v.string()), to: v.string(), changed: v.boolean() }),
      async handle({ body }) {
        const directory = directoryOf(services);
        checkBackend(services, body.backend);
        const key = services.userKeyOf(body.user);
        const before = directory.findBackend(key);
        const shown = { user: key, ...(before === undefined ? {} : { from: before }), to: body.backend };
        if (body.dry_run) return { ...shown, changed: before !== body.backend };
        const result = await directory.users.set(key, body.backend, body);
        if (result.kind === "move-active") throw moveActive(result);
        return { ...shown, changed: result.kind === "set" };
      },
    }),
    jsonEndpoint({
      method: "delete",
      path: "/v1/user",
      summary: "Removes a user's entry: tables and fallback count again",
      query: v.strictObject({ user: name, who: authorEntries.who, why: authorEntries.why }),
      result: v.object({ user: v.string(), from: v.optional(v.string()), changed: v.boolean() }),
      async handle({ query }) {
        const key = services.userKeyOf(query.user);
        const result = await directoryOf(services).users.unset(key, query);
        if (result.kind === "move-active") throw moveActive(result);
        return {
          user: key,
          ...(result.kind === "unset" ? { from: result.from } : {}),
          changed: result.kind === "unset",
        };
      },
    }),
    rawEndpoint({
      method: "post",
      path: "/v1/users/import",
      summary: "Sets many: a line each, `user,backend` or `user backend`",
      query: v.strictObject({ dry_run: v.optional(flagText, "false"), who: authorEntries.who, why: authorEntries.why }),
      takes: "text/plain",
      gives: "application/json",
      async handle(query, context) {
        const { body } = context.req.raw;
        if (body === null) throw new Problem(400, "No entries", "the body is empty");
        const entries = parseUsers(body, (given) => services.userKeyOf(given));
        const known = new Set(services.backends().map((backend) => backend.name));
        const done = await directoryOf(services).users.import(entries.checked(known), {
          author: query,
          dryRun: query.dry_run,
          signal: context.req.raw.signal,
        });
        return context.json({
          dry_run: query.dry_run,
          ...done,
          read: done.read + entries.faults.length,
          refusals: done.refusals.map(({ user: of, moveId }) => ({ user: of, move: moveId })),
          invalid: done.invalid + entries.faultCount,
          faults: [...entries.faults, ...done.faults],
        } satisfies v.InferOutput<typeof report>);
      },
    }),
    rawEndpoint({
      method: "get",
      path: "/v1/users/export",
      summary: "All entries, a line each: `user,backend`",
      query: v.strictObject({ backend: v.optional(name), prefix: v.optional(name) }),
      gives: "text/csv",
      handle(query, context) {
        const lines = formatUsers(directoryOf(services).users.all(present(query)));
        return context.body(ReadableStream.from(lines).pipeThrough(new TextEncoderStream()), 200, {
          "content-type": "text/csv; charset=utf-8",
        });
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/history",
      summary: "What was done with a user, the newest first",
      query: v.strictObject({ user: name, before: v.optional(wholeText), limit: v.optional(wholeText) }),
      result: v.object({
        user: v.string(),
        changes: v.array(
          v.object({
            id: v.number(),
            at: time,
            what: v.string(),
            from: v.optional(v.string()),
            to: v.optional(v.string()),
            who: v.string(),
            why: v.string(),
          }),
        ),
      }),
      handle({ query }) {
        const key = services.userKeyOf(query.user);
        const page = { limit: Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE) };
        const changes = directoryOf(services).history(
          key,
          query.before === undefined ? page : { ...page, beforeId: query.before },
        );
        return {
          user: key,
          changes: changes.map(({ id, atMs, what, from, to, who, why }) => ({
            id,
            at: toTime(atMs),
            what,
            ...(from === undefined ? {} : { from }),
            ...(to === undefined ? {} : { to }),
            who,
            why,
          })),
        };
      },
    }),
  ];
}

function holdEndpoints(services: AdminServices): readonly Endpoint[] {
  return [
    jsonEndpoint({
      method: "get",
      path: "/v1/holds",
      summary: "All holds, the oldest first",
      query: v.strictObject({}),
      result: v.object({ holds: v.array(hold) }),
      handle: () => ({ holds: directoryOf(services).holds.list().map(toHold) }),
    }),
    jsonEndpoint({
      method: "post",
      path: "/v1/holds",
      summary: "Pauses a user's mail, and waits until nothing admitted before can reach a store",
      body: v.strictObject({
        user: name,
        owner: v.optional(
          v.pipe(
            name,
            v.check((given) => !given.startsWith("move:"), "move:… are the holds of moves"),
          ),
          "admin",
        ),
        reason: v.optional(v.pipe(v.string(), v.maxLength(200)), ""),
        deadline_ms: v.optional(v.pipe(v.number(), v.minValue(1000))),
        ...authorEntries,
      }),
      result: v.object({ hold, drain }),
      async handle({ body }) {
        const { holds } = keeperOf(services);
        const deadlineMs = body.deadline_ms === undefined ? undefined : Date.now() + body.deadline_ms;
        const given = { user: services.userKeyOf(body.user), owner: body.owner, reason: body.reason, deadlineMs };
        const held = await holds.hold(given, { who: body.who, why: body.why === "" ? body.reason : body.why });
        return { hold: toHold(held.hold), drain: toDrain(held.outcome) };
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
        const key = services.userKeyOf(query.user);
        const result = await holds.release(key, query.owner, query);
        if (result.kind === "move-active") throw moveActive(result);
        const isStillHeld = directory.findHolds(key).length > 0;
        return { user: key, released: result.kind === "released", still_held: isStillHeld };
      },
    }),
  ];
}

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1000;

function directoryOf({ directory }: AdminServices): Directory {
  if (directory === undefined) throw noDirectory();
  return directory;
}

function keeperOf({ directory, holds }: AdminServices): { readonly directory: Directory; readonly holds: HoldKeeper } {
  if (directory === undefined || holds === undefined) throw noDirectory();
  return { directory, holds };
}

function checkBackend(services: AdminServices, backend: string): void {
  const names = services.backends().map((known) => known.name);
  if (!names.includes(backend))
    throw new Problem(422, "No such backend", `there is no backend "${backend}": known are ${names.join(", ")}`);
}

const moveActive = ({ user: of, moveId }: MoveActive): Problem =>
  new Problem(409, "Move active", `${of} is being moved by ${moveId}: cancel that move first`, { move: moveId });

const toHold = ({ user: of, owner, reason, sinceMs, deadlineMs }: Hold): v.InferOutput<typeof hold> => ({
  user: of,
  owner,
  reason,
  since: toTime(sinceMs),
  deadline: toTime(deadlineMs),
  age_ms: Math.max(0, Date.now() - sinceMs),
});

function toDrain(outcome: DrainOutcome): v.InferOutput<typeof drain> {
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
          age_ms: Math.round(performance.now() - sinceMs),
        })),
      };
    case "uncertain":
      return { outcome: "uncertain", until: toTime(outcome.untilMs), why: outcome.why };
  }
}

/** Without the members that are undefined. */
function present<Given extends object>(given: Given): { [Key in keyof Given]: Exclude<Given[Key], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}
