import type { ServerResponse } from "node:http";
import type { Context } from "hono";
import * as v from "valibot";
import type { Directory } from "../directory/directory.ts";
import {
  checkBackend,
  directoryOf,
  keyOf,
  keyWithin,
  moveActive,
  ownDirectoryOf,
  toHold,
} from "./directory-requests.ts";
import { checkMailboxIsIn, CONFIRMED } from "./moved-elsewhere.ts";
import { formatPerdition } from "./perdition-lines.ts";
import { jsonEndpoint, rawEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { Problem } from "./problem.ts";
import { authorEntries, flagText, hold, name, pageSize, time, toTime, whole, wholeText } from "./schemas.ts";
import type { AdminServices } from "./services.ts";
import { formatUsers, parseUsers } from "./user-lines.ts";

const user = v.object({ user: v.string(), backend: v.string() });
const report = v.object({
  dry_run: v.boolean(),
  read: whole,
  created: whole,
  changed: whole,
  unchanged: whole,
  repeated: whole,
  refused: whole,
  refusals: v.array(v.object({ user: v.string(), move: v.string() })),
  contradicted: whole,
  contradictions: v.array(v.object({ user: v.string(), backend: v.string(), moved_to: v.string(), move: v.string() })),
  invalid: whole,
  faults: v.array(v.object({ entry: whole, fault: v.string() })),
});

/** Those that an import writes to just now. */
const importing = new WeakSet<Directory>();

/** Users and their history. A user may be given as an address: what counts is the router's user key of it. */
export function userEndpoints(services: AdminServices, onBroken: (error: unknown) => void): readonly Endpoint[] {
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
        const limit = pageSize(query.limit);
        const users = [...directoryOf(services).users.list({ ...withLowerPrefix(query), limit })];
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
        const key = keyOf(services, query.user);
        const { backend, holds } = directory.find(key);
        const move = directory.moves.findActive(key);
        return {
          user: key,
          ...(backend === undefined ? {} : { backend }),
          holds: holds.map((each) => toHold(each, services.clock.wallMs())),
          ...(move === undefined ? {} : { move: move.id }),
        };
      },
    }),
    jsonEndpoint({
      method: "put",
      path: "/v1/user",
      summary: "Says where a user lives",
      description: CONFIRMED,
      body: v.strictObject({
        user: name,
        backend: name,
        dry_run: v.optional(v.boolean(), false),
        confirmed: v.optional(v.boolean(), false),
        ...authorEntries,
      }),
      result: v.object({ user: v.string(), from: v.optional(v.string()), to: v.string(), changed: v.boolean() }),
      async handle({ body }) {
        const directory = ownDirectoryOf(services);
        checkBackend(services, body.backend);
        const key = keyOf(services, body.user);
        const before = directory.findBackend(key);
        const shown = { user: key, ...(before === undefined ? {} : { from: before }), to: body.backend };
        if (!body.confirmed && before !== body.backend) checkMailboxIsIn(services, key, body.backend);
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
      description: CONFIRMED,
      query: v.strictObject({ user: name, confirmed: v.optional(flagText, "false"), ...authorEntries }),
      result: v.object({ user: v.string(), from: v.optional(v.string()), changed: v.boolean() }),
      async handle({ query }) {
        const directory = directoryOf(services);
        const key = keyOf(services, query.user);
        if (!query.confirmed && directory.findBackend(key) !== undefined) {
          const route = await services.routeByTables(key);
          checkMailboxIsIn(services, key, route.kind === "deliver" ? route.backend : undefined);
        }
        const result = await directory.users.unset(key, query);
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
      description: "Users whose mailbox a move has put in another backend are left alone, unless `confirmed` is true.",
      query: v.strictObject({
        dry_run: v.optional(flagText, "false"),
        confirmed: v.optional(flagText, "false"),
        ...authorEntries,
      }),
      takes: "text/plain",
      gives: "application/json",
      result: report,
      async handle(query, context) {
        const directory = ownDirectoryOf(services);
        const { body } = context.req.raw;
        if (body === null) throw new Problem(400, "No entries", "the body is empty");
        if (importing.has(directory))
          throw new Problem(409, "Import under way", "another import is under way: wait for its end");
        importing.add(directory);
        try {
          const backends = services.backendNames();
          const lines = parseUsers(body, {
            keyOf: (given) => keyOf(services, given),
            backends: new Set(backends),
          });
          const done = await directory.users.import(lines.entries, {
            author: query,
            dryRun: query.dry_run,
            ...(query.confirmed ? {} : { respectMovesTo: backends }),
            signal: context.req.raw.signal,
          });
          return context.json({
            dry_run: query.dry_run,
            ...done,
            read: done.read + lines.faultCount,
            refusals: done.refusals.map(({ user: of, moveId }) => ({ user: of, move: moveId })),
            contradictions: done.contradictions.map(({ movedTo, moveId, ...rest }) => ({
              ...rest,
              moved_to: movedTo,
              move: moveId,
            })),
            // The lines' own faults are all there can be: what names nobody is told with its line.
            invalid: done.invalid + lines.faultCount,
            faults: [...lines.faults, ...done.faults],
          } satisfies v.InferOutput<typeof report>);
        } finally {
          importing.delete(directory);
        }
      },
    }),
    rawEndpoint({
      method: "get",
      path: "/v1/users/export",
      summary: "All entries, a line each: `user,backend`",
      query: v.strictObject({ backend: v.optional(name), prefix: v.optional(name) }),
      gives: "text/csv",
      handle(query, context) {
        const entries = directoryOf(services).users.all(withLowerPrefix(query));
        const pages = formatUsers(entries, (given) => keyWithin(services, given));
        return streamPages(pages, "text/csv; charset=utf-8", context, onBroken);
      },
    }),
    rawEndpoint({
      method: "get",
      path: "/v1/users/export/perdition",
      summary: "A map for perdition: `USER:HOST:PORT`",
      description: "Who is left out, and why, is told in comments at the end.",
      query: v.strictObject({
        service: v.optional(v.picklist(["imap", "pop3"]), "imap"),
        backend: v.optional(name),
        prefix: v.optional(name),
      }),
      gives: "text/plain",
      handle({ service, ...filter }, context) {
        const entries = directoryOf(services).users.all(withLowerPrefix(filter));
        const pages = formatPerdition(entries, (backend) => services.loginPlace(backend, service), service);
        return streamPages(pages, "text/plain; charset=utf-8", context, onBroken);
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
            id: whole,
            at: time,
            what: v.string(),
            from: v.optional(v.string()),
            to: v.optional(v.string()),
            who: v.string(),
            why: v.string(),
          }),
        ),
        next: v.optional(whole),
      }),
      handle({ query }) {
        const key = keyOf(services, query.user);
        const limit = pageSize(query.limit);
        const page = query.before === undefined ? { limit } : { limit, beforeId: query.before };
        const changes = directoryOf(services).history(key, page);
        const last = changes.length < limit ? undefined : changes.at(-1)?.id;
        return {
          user: key,
          ...(last === undefined ? {} : { next: last }),
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

/** A directory that fails at once is told by the status; later, only the end of the connection can tell. */
async function streamPages(
  pages: AsyncGenerator<string>,
  contentType: string,
  context: Context,
  onBroken: (error: unknown) => void,
): Promise<Response> {
  const first = await pages.next();
  const rest = first.done === true ? [] : continued(first.value, pages, context, onBroken);
  const body = ReadableStream.from(rest).pipeThrough(new TextEncoderStream());
  return context.body(body, 200, { "content-type": contentType });
}

/** An error that left this stream would be written to the console by who reads it. */
async function* continued<Page>(
  first: Page,
  rest: AsyncIterable<Page>,
  { env }: Context,
  onBroken: (error: unknown) => void,
): AsyncGenerator<Page> {
  yield first;
  try {
    yield* rest;
  } catch (error) {
    onBroken(error);
    const { outgoing } = env as { readonly outgoing?: ServerResponse };
    outgoing?.destroy();
  }
}

/** Without the members that are undefined. Keys are in lower case, so what they begin with is, too. */
function withLowerPrefix<Given extends { readonly prefix?: string | undefined }>(
  given: Given,
): { [Key in keyof Given]: Exclude<Given[Key], undefined> } {
  const lower = { ...given, prefix: given.prefix?.normalize("NFC").toLowerCase() };
  return Object.fromEntries(Object.entries(lower).filter(([, value]) => value !== undefined)) as never;
}
