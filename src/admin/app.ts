import { createHash, timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import { daemonEndpoints } from "./daemon-endpoints.ts";
import { directoryEndpoints } from "./directory-endpoints.ts";
import type { Endpoint } from "./endpoint.ts";
import { writeOpenApi } from "./openapi.ts";
import { Problem, PROBLEM_TYPE } from "./problem.ts";
import type { AdminServices } from "./services.ts";

export interface AppOptions {
  /** Without it nobody is asked who he is: for unix sockets, whose mode decides that. */
  readonly bearerToken: string | undefined;
  readonly onBug: (error: unknown) => void;
}

export const endpointsOf = (services: AdminServices): readonly Endpoint[] => [
  ...daemonEndpoints(services),
  ...directoryEndpoints(services),
];

/** The admin API: every command of the CLI that speaks with a running daemon goes through it. */
export function createApp(services: AdminServices, { bearerToken, onBug }: AppOptions): Hono {
  const app = new Hono();
  if (bearerToken !== undefined)
    app.use(async (context, next) => {
      const given = /^Bearer (.+)$/.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
      if (!isSame(given, bearerToken)) throw new Problem(401, "Unauthorized", "the bearer token is missing or wrong");
      await next();
    });
  const endpoints = endpointsOf(services);
  for (const endpoint of endpoints) endpoint.register(app);
  app.get("/openapi.json", (context) => context.json(writeOpenApi(endpoints, services.status().version)));
  app.notFound((context) =>
    toResponse(new Problem(404, "Not found", `there is no ${context.req.method} ${context.req.path}`)),
  );
  app.onError((error) => {
    if (error instanceof Problem) return toResponse(error);
    // A directory that fails is foreseen, and said as it is.
    if ("code" in error && typeof error.code === "string" && error.code.startsWith("DIRECTORY"))
      return toResponse(new Problem(503, "Directory failed", error.message, { code: error.code }));
    onBug(error);
    return toResponse(new Problem(500, "Internal error", "a bug: the log has more"));
  });
  return app;
}

function toResponse(problem: Problem): Response {
  const headers = {
    "content-type": PROBLEM_TYPE,
    ...(problem.status === 401 ? { "www-authenticate": "Bearer" } : {}),
  };
  return new Response(`${JSON.stringify(problem)}\n`, { status: problem.status, headers });
}

/** Takes the same time whatever is wrong. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
