import type { Endpoint } from "./endpoint.ts";

/** The document of OpenAPI 3.1 that describes these endpoints. */
export function writeOpenApi(endpoints: readonly Endpoint[], version: string): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) (paths[endpoint.path] ??= {})[endpoint.method] = endpoint.describe();
  return {
    openapi: "3.1.0",
    info: { title: "mailshunt", version, summary: "The admin API of mailshunt" },
    // On a unix socket nobody is asked.
    security: [{}, { bearer: [] }],
    paths,
    components: { responses: { Problem: PROBLEM }, securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
  };
}

const PROBLEM = {
  description: "A refusal, as RFC 9457 has it.",
  content: {
    "application/problem+json": {
      schema: {
        type: "object",
        required: ["title", "status", "detail"],
        properties: {
          title: { type: "string" },
          status: { type: "integer" },
          detail: { type: "string" },
          errors: {
            type: "array",
            items: {
              type: "object",
              properties: { pointer: { type: "string" }, detail: { type: "string" } },
            },
          },
        },
      },
    },
  },
} as const;
