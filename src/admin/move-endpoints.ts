import * as v from "valibot";
import type { MoveDetails, MoveService, MoveView, OrderResult } from "../moves/move-service.ts";
import { PHASES } from "./count-moves.ts";
import { checkBackend } from "./directory-requests.ts";
import { checkMailboxIsIn, CONFIRMED, findMovedElsewhere } from "./moved-elsewhere.ts";
import { jsonEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { noDirectory, Problem } from "./problem.ts";
import { authorEntries, flagText, name, time, toTime, whole, wholeText } from "./schemas.ts";
import type { AdminServices } from "./services.ts";

/** Such as `pre-sync`; see docs/moving-users.md. */
const phase = v.string();

const move = v.object({
  id: v.string(),
  number: whole,
  batch: v.string(),
  user: v.string(),
  from: v.string(),
  to: v.string(),
  preset: v.string(),
  rehearsal: v.boolean(),
  phase,
  active: v.boolean(),
  created: time,
  changed: time,
  /** What keeps it from going on. */
  trouble: v.optional(v.string()),
});

const details = v.object({
  ...move.entries,
  doing: v.optional(v.string()),
  round: v.optional(whole),
  reason: v.optional(v.string()),
  warnings: v.array(v.string()),
  /** Files that are there. */
  log: v.optional(v.string()),
  report: v.optional(v.string()),
  journal: v.array(v.object({ position: whole, at: time, what: v.string(), text: v.string() })),
});

const DEFAULT_PAGE = 100;
const MAX_PAGE = 1000;

/** Moves of mailboxes between backends. */
export function moveEndpoints(services: AdminServices): readonly Endpoint[] {
  const order = (
    word: "pause" | "resume" | "cancel",
    summary: string,
    give: (
      moves: MoveService,
      id: string,
      author: { readonly who: string; readonly why: string },
    ) => Promise<OrderResult>,
  ): Endpoint =>
    jsonEndpoint({
      method: "post",
      path: `/v1/moves/${word}`,
      summary,
      body: v.strictObject({ id: name, ...authorEntries }),
      result: move,
      handle: async ({ body }) => toOrdered(body.id, await give(movesOf(services), body.id, body)),
    });

  return [
    jsonEndpoint({
      method: "post",
      path: "/v1/moves",
      summary: "Moves users' mailboxes to another backend; returns once that is planned",
      description:
        "A user whose last move put the mailbox in another backend than the user lives in now is refused, unless `confirmed` is true.",
      body: v.strictObject({
        users: v.array(name),
        to: name,
        from: v.optional(name),
        preset: v.optional(name),
        unproven: v.optional(v.boolean(), false),
        rehearsal: v.optional(v.boolean(), false),
        dry_run: v.optional(v.boolean(), false),
        confirmed: v.optional(v.boolean(), false),
        ...authorEntries,
      }),
      result: v.object({
        batch: v.optional(v.string()),
        planned: v.array(v.object({ id: v.optional(v.string()), user: v.string(), from: v.string(), to: v.string() })),
        refused: v.array(v.object({ user: v.string(), why: v.string(), text: v.string() })),
      }),
      async handle({ body }) {
        const moves = movesOf(services);
        for (const named of [body.to, body.from ?? body.to]) checkBackend(services, named);
        const request = {
          users: body.users.map((user) => services.userKeyOf(user)),
          to: body.to,
          ...(body.from === undefined ? {} : { from: body.from }),
          ...(body.preset === undefined ? {} : { preset: body.preset }),
          isUnproven: body.unproven,
          isRehearsal: body.rehearsal,
          isDryRun: body.dry_run,
          author: { who: body.who, why: body.why },
        };
        const leftOut = body.confirmed ? [] : await findMovedElsewhere(services, moves, request);
        const left = new Set(leftOut.map(({ user }) => user));
        const users = request.users.filter((user) => !left.has(user));
        const { batchId, planned, refused } = await moves.start({ ...request, users });
        return {
          ...(batchId === undefined ? {} : { batch: batchId }),
          planned: planned.map(({ moveId, ...rest }) => ({ ...(moveId === undefined ? {} : { id: moveId }), ...rest })),
          refused: [...leftOut, ...refused],
        };
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/moves",
      summary: "Moves in order of their creation, a page of them",
      query: v.strictObject({
        phase: v.optional(v.picklist(PHASES, `expected one of ${PHASES.join(", ")}`)),
        active: v.optional(flagText),
        user: v.optional(name),
        from: v.optional(name),
        to: v.optional(name),
        after: v.optional(wholeText),
        limit: v.optional(wholeText),
      }),
      result: v.object({ moves: v.array(move), next: v.optional(whole) }),
      handle({ query }) {
        const limit = Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE);
        const moves = movesOf(services).list({
          limit,
          ...(query.phase === undefined ? {} : { phases: [query.phase] }),
          ...(query.active === undefined ? {} : { isActive: query.active }),
          ...(query.user === undefined ? {} : { user: services.userKeyOf(query.user) }),
          ...(query.from === undefined ? {} : { from: query.from }),
          ...(query.to === undefined ? {} : { to: query.to }),
          ...(query.after === undefined ? {} : { afterNumber: query.after }),
        });
        const next = moves.length < limit ? undefined : moves.at(-1)?.number;
        return { moves: moves.map(toMove), ...(next === undefined ? {} : { next }) };
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/move",
      summary: "One move with its journal",
      query: v.strictObject({ id: name }),
      result: details,
      handle({ query }) {
        const shown = movesOf(services).show(query.id);
        if (shown === undefined) throw new Problem(404, "No such move", `there is no move ${query.id}`);
        return toDetails(shown);
      },
    }),
    jsonEndpoint({
      method: "get",
      path: "/v1/batch",
      summary: "What came of the moves that were started together",
      query: v.strictObject({ id: name }),
      result: v.object({
        id: v.string(),
        total: whole,
        active: whole,
        done: whole,
        failed: v.array(v.object({ id: v.string(), user: v.string(), phase })),
        failed_file: v.optional(v.string()),
      }),
      async handle({ query }) {
        const summary = await movesOf(services).batch(query.id);
        if (summary === undefined) throw new Problem(404, "No such batch", `there is no batch ${query.id}`);
        const { failed, failedPath, ...rest } = summary;
        return {
          ...rest,
          failed: failed.map(({ moveId, ...of }) => ({ id: moveId, ...of })),
          ...(failedPath === undefined ? {} : { failed_file: failedPath }),
        };
      },
    }),
    order("pause", "Stops a move before its lock", (moves, id, author) => moves.pause(id, author)),
    order("resume", "Goes on with a paused move", (moves, id, author) => moves.resume(id, author)),
    order("cancel", "Rolls a move back; refused from the switch on", (moves, id, author) => moves.cancel(id, author)),
    jsonEndpoint({
      method: "post",
      path: "/v1/moves/retry",
      summary: "Plans a move that failed once more",
      description: CONFIRMED,
      body: v.strictObject({ id: name, confirmed: v.optional(v.boolean(), false), ...authorEntries }),
      result: move,
      async handle({ body }) {
        const moves = movesOf(services);
        const failed = moves.show(body.id);
        if (!body.confirmed && failed !== undefined) checkMailboxIsIn(services, failed.user, failed.from);
        return toOrdered(body.id, await moves.retry(body.id, body));
      },
    }),
  ];
}

function movesOf({ moves }: AdminServices): MoveService {
  if (moves === undefined) throw noDirectory();
  return moves;
}

/** @throws Problem where it could not be */
function toOrdered(id: string, result: OrderResult): v.InferOutput<typeof move> {
  switch (result.kind) {
    case "done":
      return toMove(result.move);
    case "no-such-move":
      throw new Problem(404, "No such move", `there is no move ${id}`);
    case "refused":
      throw new Problem(409, "Refused", result.why);
  }
}

const toMove = (given: MoveView): v.InferOutput<typeof move> => ({
  id: given.id,
  number: given.number,
  batch: given.batchId,
  user: given.user,
  from: given.from,
  to: given.to,
  preset: given.preset,
  rehearsal: given.isRehearsal,
  phase: given.phase,
  active: given.isActive,
  created: toTime(given.createdMs),
  changed: toTime(given.changedMs),
  ...(given.trouble === undefined ? {} : { trouble: given.trouble }),
});

const toDetails = (given: MoveDetails): v.InferOutput<typeof details> => ({
  ...toMove(given),
  ...(given.doing === undefined ? {} : { doing: given.doing }),
  ...(given.round === undefined ? {} : { round: given.round }),
  ...(given.reason === undefined ? {} : { reason: given.reason }),
  warnings: [...given.warnings],
  ...(given.logPath === undefined ? {} : { log: given.logPath }),
  ...(given.reportPath === undefined ? {} : { report: given.reportPath }),
  journal: given.journal.map(({ atMs, ...rest }) => ({ at: toTime(atMs), ...rest })),
});
