import { toJsonSchema } from "@valibot/to-json-schema";
import type { Context, Hono } from "hono";
import * as v from "valibot";
import { Problem } from "./problem.ts";
import { readBody, readQuery } from "./read-request.ts";

type Schema<Output> = v.GenericSchema<unknown, Output>;

export type Method = "get" | "post" | "put" | "delete";

interface EndpointBase {
  readonly method: Method;
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
}

export interface JsonEndpoint<Query, Body, Result> extends EndpointBase {
  /** Each parameter is text. Without it there are none. */
  readonly query?: Schema<Query>;
  readonly body?: Schema<Body>;
  /** What 200 says. */
  readonly result: Schema<Result>;
  readonly handle: (input: {
    readonly query: Query;
    readonly body: Body;
    readonly signal: AbortSignal;
  }) => Result | Promise<Result>;
}

export interface RawEndpoint<Query> extends EndpointBase {
  /** Without it what is given does not matter. */
  readonly query?: Schema<Query>;
  /** Content type of the request, where it has a body. */
  readonly takes?: string;
  /** Content type of 200. */
  readonly gives: string;
  /** What 200 says, where that is JSON. */
  readonly result?: v.GenericSchema<unknown, unknown>;
  readonly handle: (query: Query, context: Context) => Response | Promise<Response>;
}

/** One endpoint: its route and its part of the OpenAPI document are made of the same. */
export interface Endpoint {
  readonly method: Method;
  readonly path: string;
  /** What 200 says, where that is JSON. */
  readonly result: v.GenericSchema<unknown, unknown> | undefined;
  register(app: Hono): void;
  /** The Operation Object of OpenAPI 3.1. */
  describe(): Readonly<Record<string, unknown>>;
}

const NO_QUERY = v.strictObject({});

export function jsonEndpoint<Query, Body, Result>(parts: JsonEndpoint<Query, Body, Result>): Endpoint {
  const { method, path, query, body, result, handle } = parts;
  return {
    method,
    path,
    result,
    register(app) {
      app.on(method.toUpperCase(), path, async (context) => {
        const given = {
          query: parse(query ?? (NO_QUERY as never as Schema<Query>), readQuery(context.req.raw.url), "query"),
          body: body === undefined ? (undefined as Body) : parse(body, await readJson(context), "body"),
          signal: context.req.raw.signal,
        };
        return context.json((await handle(given)) as object);
      });
    },
    describe: () => ({
      ...describeBase(parts),
      ...(query === undefined ? {} : { parameters: describeQuery(query) }),
      ...(body === undefined
        ? {}
        : { requestBody: { required: true, content: { "application/json": { schema: toSchema(body) } } } }),
      responses: describeResponses("application/json", result),
    }),
  };
}

export function rawEndpoint<Query>(parts: RawEndpoint<Query>): Endpoint {
  const { method, path, query, takes, gives, result, handle } = parts;
  return {
    method,
    path,
    result,
    register(app) {
      app.on(method.toUpperCase(), path, (context) => {
        const given =
          query === undefined ? (undefined as Query) : parse(query, readQuery(context.req.raw.url), "query");
        return handle(given, context);
      });
    },
    describe: () => ({
      ...describeBase(parts),
      ...(query === undefined ? {} : { parameters: describeQuery(query) }),
      ...(takes === undefined
        ? {}
        : { requestBody: { required: true, content: { [takes]: { schema: { type: "string" } } } } }),
      responses: describeResponses(gives, result),
    }),
  };
}

function describeResponses(
  gives: string,
  result: v.GenericSchema<unknown, unknown> | undefined,
): Readonly<Record<string, unknown>> {
  const schema = result === undefined ? {} : { schema: toSchema(result) };
  return {
    200: { description: "Done.", content: { [gives]: schema } },
    default: { $ref: "#/components/responses/Problem" },
  };
}

const describeBase = ({ method, path, summary, description }: EndpointBase): Readonly<Record<string, unknown>> => ({
  operationId: `${method}${path.replaceAll(/[/:_.-]+(\w)/g, (_all, letter: string) => letter.toUpperCase())}`,
  summary,
  ...(description === undefined ? {} : { description }),
});

/** Transformations are left out: the document describes what goes over the wire. */
function toSchema(schema: v.GenericSchema<unknown, unknown>): unknown {
  const { $schema: _dialect, ...rest } = toJsonSchema(schema, { typeMode: "input", errorMode: "ignore" });
  return rest;
}

function describeQuery(schema: v.GenericSchema<unknown, unknown>): readonly unknown[] {
  const { properties = {}, required = [] } = toJsonSchema(schema, { typeMode: "input", errorMode: "ignore" });
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: property,
  }));
}

async function readJson(context: Context): Promise<unknown> {
  const text = await readBody(context.req.raw);
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem(400, "Not JSON", "the body is not JSON");
  }
}

function parse<Output>(schema: Schema<Output>, given: unknown, where: "query" | "body"): Output {
  const result = v.safeParse(schema, given);
  if (result.success) return result.output;
  const errors = result.issues.map((issue) => ({
    pointer: `/${(issue.path ?? []).map(({ key }) => String(key)).join("/")}`,
    detail: issue.message,
  }));
  const first = errors[0];
  const detail = first === undefined ? "" : `${where} ${first.pointer}: ${first.detail}`;
  throw new Problem(422, "Invalid request", detail, { errors: errors.slice(0, MAX_ERRORS) });
}

/** Faults of one request that are told. */
const MAX_ERRORS = 20;
