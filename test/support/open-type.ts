import * as v from "valibot";
import { systemClock } from "../../src/core/clock.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { LogLevel } from "../../src/core/log.ts";
import type { CommonOptions, GuardOptions } from "../../src/tables/options.ts";
import type { Source } from "../../src/tables/source.ts";
import type { Table } from "../../src/tables/table.ts";
import type { TableType } from "../../src/tables/table-type.ts";
import { guardSource } from "../../src/tables/wrappers/guard.ts";
import type { GuardedSource } from "../../src/tables/wrappers/guarded-source.ts";

/** What stands below `type:` in a file, as objects, arrays and text; anything else is given to the schema as it is. */
export type RawOptions = Readonly<Record<string, unknown>>;

export interface Said {
  readonly level: LogLevel;
  readonly text: string;
}

export interface OpenTypeOptions {
  readonly clock?: Clock;
  /** In place of what `timeout`, `max_in_flight` and `breaker` say. */
  readonly guard?: GuardOptions;
  /** What `tableNamed` finds. */
  readonly others?: ReadonlyMap<string, Table>;
}

export interface OpenedType {
  /** Without a guard: may throw and reject. */
  readonly source: Source;
  /** As the daemon asks it, without key rules, value rules and cache. */
  readonly table: GuardedSource;
  readonly common: CommonOptions;
  /** What it has logged so far. */
  readonly said: readonly Said[];
}

/**
 * Opens a table type as the daemon does: options through the schema and through structured cloning, then `open`.
 * @throws Error with the schema's messages
 */
export function openType(type: TableType, options: RawOptions, given: OpenTypeOptions = {}): OpenedType {
  const { clock = systemClock, others = new Map<string, Table>() } = given;
  const result = v.safeParse(type.schema, toMaps(options));
  if (!result.success) throw new Error(result.issues.map(({ message }) => message).join("; "));
  const settings = structuredClone(type.toSettings(result.output));
  const said: Said[] = [];
  const context = {
    name: "contract",
    clock,
    say: (level: LogLevel, text: string) => void said.push({ level, text }),
    tableNamed(name: string): Table {
      const table = others.get(name);
      if (table === undefined) throw new Error(`the test has no table ${name}`);
      return table;
    },
  };
  const source = type.open(settings.options, context);
  const guard = settings.common.guard && (given.guard ?? settings.common.guard);
  return { source, table: guardSource(source, guard, context), common: settings.common, said };
}

/** The messages of a schema about options, each with its path: empty where nothing is wrong. */
export function faultsOf(type: TableType, options: unknown): string[] {
  const { issues = [] } = v.safeParse(type.schema, toMaps(options));
  return issues.map(({ message, path = [] }) => {
    const where = path.map(({ key }) => String(key)).join(".");
    return where === "" ? message : `${where}: ${message}`;
  });
}

/** As the YAML reader gives mappings. */
export function toMaps(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(toMaps);
  if (typeof given !== "object" || given === null || Object.getPrototypeOf(given) !== Object.prototype) return given;
  return new Map(Object.entries(given).map(([key, value]) => [key, toMaps(value)]));
}
