import { bad, ok } from "../../core/units.ts";
import type { Parsed } from "../../core/units.ts";
import { parseQuery } from "./query.ts";
import type { Placeholder, SqlDialect, Statement } from "./query.ts";

/** The administrator's own queries. */
export interface SqlQueries {
  readonly get: Statement;
  readonly set?: Statement;
  readonly unset?: Statement;
  readonly increment?: Statement;
  readonly list?: Statement;
}

export type QueryName = keyof SqlQueries;

const KEY_FORMS = ["key", "localpart", "domain"] as const;

interface QueryRules {
  readonly known: readonly Placeholder[];
  /** One of each must stand in it. */
  readonly needed: readonly (readonly Placeholder[])[];
}

const RULES: Readonly<Record<QueryName, QueryRules>> = {
  get: { known: KEY_FORMS, needed: [KEY_FORMS] },
  set: { known: [...KEY_FORMS, "value", "expire_seconds"], needed: [KEY_FORMS, ["value"]] },
  unset: { known: KEY_FORMS, needed: [KEY_FORMS] },
  increment: { known: [...KEY_FORMS, "by"], needed: [KEY_FORMS, ["by"]] },
  list: { known: ["prefix"], needed: [] },
};

const QUERY_NAMES: readonly QueryName[] = ["get", "set", "unset", "increment", "list"];

export function parseQueries(
  given: Readonly<Record<QueryName, string | undefined>>,
  dialect: SqlDialect,
): Parsed<SqlQueries> {
  const queries: Partial<Record<QueryName, Statement>> = {};
  for (const name of QUERY_NAMES) {
    const text = given[name];
    if (text === undefined) continue;
    const parsed = parseOne(text, dialect, RULES[name]);
    if (parsed.kind === "bad") return bad(`"${name}": ${parsed.reason}`);
    queries[name] = parsed.value;
  }
  const { get, ...others } = queries;
  return get === undefined ? bad(`"get" is missing`) : ok({ get, ...others });
}

function parseOne(text: string, dialect: SqlDialect, { known, needed }: QueryRules): Parsed<Statement> {
  const parsed = parseQuery(text, dialect, known);
  if (parsed.kind === "bad") return parsed;
  for (const choice of needed)
    if (!choice.some((name) => parsed.value.parameters.includes(name)))
      return bad(`${choice.map((name) => `:${name}`).join(" or ")} must stand in the query, and not in quotes`);
  return parsed;
}
