import * as v from "valibot";
import { didYouMean } from "../core/closest-name.ts";
import { describeRaw } from "../core/option-schema.ts";
import { bad, ok } from "../core/units.ts";
import type { Parsed } from "../core/units.ts";
import { TABLE_TYPES } from "../tables/registry.ts";
import { composeYaml } from "../yaml/compose.ts";
import { toRaw } from "../yaml/tree.ts";
import type { Config } from "./config.ts";
import { makeParts } from "./parts.ts";
import { configSchema, tableSchema } from "./schema.ts";
import { describeCircle, findCircle } from "./table-circle.ts";

/** What podop's command line says. */
export interface PodopCommand {
  /** Path of the unix socket, absolute. */
  readonly socket: string;
  readonly mode: "postfix" | "dovecot";
  /** The nth `--name`, `--type` and `--param` belong together. */
  readonly tables: readonly { readonly name: string; readonly type: string; readonly param: string }[];
  /** How often `-v` was given. */
  readonly verbosity: number;
}

/** The one option that `--param` is, of the types that have such a one. */
const MAIN_OPTIONS: ReadonlyMap<string, string> = new Map([
  ["url", "url"],
  ["file", "path"],
  ["first", "tables"],
  ["union", "tables"],
  ["pipe", "tables"],
]);

/** What they tell of a command line cannot say. */
const VIEWS: ReadonlySet<string> = new Set(["routing", "directory"]);

/** podop's rule: 4xx is a miss. What says "later" is no 4xx of that kind: see the type. */
const PODOP_ABSENT_STATUS: readonly string[] = ["4xx"];

/** By how often `-v` was given. */
const LEVELS = ["notice", "info", "debug"] as const;

/** The configuration that a command line of podop means. */
export function translatePodop({ socket, mode, tables, verbosity }: PodopCommand): Parsed<Config> {
  const rawTables = new Map<string, unknown>();
  const reasons: string[] = [];
  for (const { name, type, param } of tables) {
    const raw = readParam(type, param);
    const fault = raw.kind === "bad" ? raw.reason : faultOf(raw.value);
    if (fault !== undefined) reasons.push(`table ${name}: ${fault}`);
    else if (raw.kind === "ok") rawTables.set(name, raw.value);
  }
  const listener = new Map<string, unknown>([
    ["protocol", mode === "postfix" ? "socketmap" : "dict"],
    ["address", `unix:${socket}`],
  ]);
  const level = LEVELS[Math.min(verbosity, LEVELS.length - 1)];
  const root = new Map<string, unknown>([
    ["version", "1"],
    ["log", new Map([["level", level]])],
    ["listeners", [listener]],
    ["tables", rawTables],
  ]);
  if (reasons.length > 0) return bad(reasons.join("\n"));
  const read = v.safeParse(configSchema, root);
  if (!read.success) return bad(read.issues.map(({ message }) => message).join("\n"));
  const members = membersOf(rawTables);
  const faults = [...missingMembers(members), ...circles(members)];
  if (faults.length > 0) return bad(faults.join("\n"));
  return ok(makeParts({ path: "the command line", format: "podop" }, { section: read.output, passwords: new Map() }));
}

function readParam(type: string, param: string): Parsed<ReadonlyMap<string, unknown>> {
  if (VIEWS.has(type)) return bad(`the type ${type} is for a configuration file, which has the users that it tells of`);
  if (!TABLE_TYPES.has(type))
    return bad(`there is no table type "${type}": known are ${[...TABLE_TYPES.keys()].join(", ")}`);
  if (param.startsWith("{")) return readOptions(type, param);
  const main = MAIN_OPTIONS.get(type);
  if (main === undefined)
    return bad(
      `--param of the type ${type} is its options as they stand in a configuration file, such as '{ key: value }'`,
    );
  const value = main === "tables" ? param.split(",").map((name) => name.trim()) : param;
  return ok(new Map<string, unknown>([["type", type], [main, value], ...podopDefaults(type)]));
}

/** Options in braces, as in a configuration file. */
function readOptions(type: string, text: string): Parsed<ReadonlyMap<string, unknown>> {
  const { root, faults } = composeYaml(text, (path) => path.length === 1 && path[0] === "entries");
  const [fault] = faults;
  if (fault !== undefined) return bad(`--param at character ${fault.offset + 1}: ${fault.message}`);
  const raw = root === undefined ? undefined : toRaw(root);
  if (!(raw instanceof Map)) return bad(`--param must be a mapping in braces, got ${describeRaw(raw)}`);
  return ok(
    new Map<string, unknown>([...podopDefaults(type), ...(raw as ReadonlyMap<string, unknown>), ["type", type]]),
  );
}

const podopDefaults = (type: string): readonly (readonly [string, unknown])[] =>
  type === "url" ? [["absent_status", PODOP_ABSENT_STATUS]] : [];

function faultOf(raw: ReadonlyMap<string, unknown>): string | undefined {
  const result = v.safeParse(tableSchema, raw);
  return result.success ? undefined : result.issues.map(({ message }) => message).join("; ");
}

type Members = ReadonlyMap<string, readonly string[]>;

function membersOf(tables: ReadonlyMap<string, unknown>): Members {
  const members = new Map<string, readonly string[]>();
  for (const [name, table] of tables) {
    const given: unknown = table instanceof Map ? table.get("tables") : undefined;
    members.set(name, Array.isArray(given) ? given.filter((member) => typeof member === "string") : []);
  }
  return members;
}

const missingMembers = (tables: Members): readonly string[] =>
  [...tables].flatMap(([name, members]) =>
    members
      .filter((member) => !tables.has(member))
      .map((member) => `table ${name}: there is no table "${member}"${didYouMean(member, tables.keys())}`),
  );

const circles = (tables: Members): readonly string[] =>
  [...tables.keys()].flatMap((name) => {
    const circle = findCircle(name, tables);
    return circle === undefined ? [] : [describeCircle(circle)];
  });
