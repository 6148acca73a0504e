import { createHash, timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import { DirectoryFailed } from "../directory/directory-failed.ts";
import { daemonEndpoints } from "./daemon-endpoints.ts";
import type { Endpoint } from "./endpoint.ts";
import { rawEndpoint } from "./endpoint.ts";
import { holdEndpoints } from "./hold-endpoints.ts";
import { moveEndpoints } from "./move-endpoints.ts";
import { writeOpenApi } from "./openapi.ts";
import { Problem, PROBLEM_TYPE } from "./problem.ts";
import type { AdminServices } from "./services.ts";
import { userEndpoints } from "./user-endpoints.ts";

export interface AppOptions {
  /** Without it nobody is asked who he is: for unix sockets, whose mode decides that. */
  readonly bearerToken: string | undefined;
  /** Hears of every error that no answer can tell. */
  readonly onBug: (error: unknown) => void;
  /** Aborted when the daemon stops: whoever waits for something is told so. */
  readonly stopping: AbortSignal;
}

export function endpointsOf(
  services: AdminServices,
  { stopping, onBug }: Pick<AppOptions, "stopping" | "onBug">,
): readonly Endpoint[] {
  const endpoints: Endpoint[] = [
    ...daemonEndpoints(services),
    ...userEndpoints(services, onBug),
    ...holdEndpoints(services, stopping),
    ...moveEndpoints(services),
  ];
  const self = rawEndpoint({
    method: "get",
    path: "/openapi.json",
    summary: "This document",
    gives: "application/json",
    handle: (_query, context) => context.json(writeOpenApi(endpoints, services.version)),
  });
  endpoints.push(self);
  return endpoints;
}

/** The admin API: every command of the CLI that speaks with a running daemon goes through it. */
export function createApp(services: AdminServices, options: AppOptions): Hono {
  const { bearerToken, onBug } = options;
  const app = new Hono();
  if (bearerToken !== undefined)
    app.use(async (context, next) => {
      const given = /^Bearer +(.+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
      if (!isSame(given, bearerToken)) throw UNAUTHORIZED;
      await next();
    });
  const endpoints = endpointsOf(services, options);
  for (const endpoint of endpoints) endpoint.register(app);
  for (const [path, methods] of methodsByPath(endpoints))
    app.all(path, (context) => {
      throw new Problem(
        405,
        "Method not allowed",
        `${path} takes ${methods}, not ${context.req.method}`,
        {},
        {
          allow: methods,
        },
      );
    });
  app.notFound((context) =>
    toResponse(new Problem(404, "Not found", `there is no ${context.req.method} ${context.req.path}`)),
  );
  app.onError((error, context) => {
    if (error instanceof Problem) return toResponse(error);
    if (error instanceof DirectoryFailed) return toResponse(directoryFailed(error));
    // Who has gone wants no answer, and that is nobody's bug.
    if (context.req.raw.signal.aborted) return toResponse(new Problem(400, "Cut off", "the request was cut off"));
    onBug(error);
    return toResponse(new Problem(500, "Internal error", "a bug: the log has more"));
  });
  return app;
}

/** Whoever may not ask does not keep a connection either. */
const UNAUTHORIZED = new Problem(
  401,
  "Unauthorized",
  "the bearer token is missing or wrong",
  {},
  {
    "www-authenticate": "Bearer",
    connection: "close",
  },
);

/** Foreseen, and said as it is. */
function directoryFailed({ code, message }: DirectoryFailed): Problem {
  const isUnknown = code === "DIRECTORY_OUTCOME_UNKNOWN";
  const detail = isUnknown ? `${message}; it may have been made: look, or do it once more` : message;
  return new Problem(503, "Directory failed", detail, { code });
}

function methodsByPath(endpoints: readonly Endpoint[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { path, method } of endpoints) {
    const methods = method === "get" ? "GET, HEAD" : method.toUpperCase();
    const others = found.get(path);
    found.set(path, others === undefined ? methods : `${others}, ${methods}`);
  }
  return found;
}

function toResponse(problem: Problem): Response {
  const headers = { "content-type": PROBLEM_TYPE, ...problem.headers };
  return new Response(`${JSON.stringify(problem)}\n`, { status: problem.status, headers });
}

/** Takes the same time whatever is wrong. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
