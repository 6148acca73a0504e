import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { CommonOptions, ValueRules } from "./options.ts";
import { errorText } from "./error-text.ts";
import { ForgetCounts } from "./forget-counts.ts";
import { TABLE_TYPES } from "./registry.ts";
import type { Source } from "./source.ts";
import type { Change, Table, WriteOutcome } from "./table.ts";
import type { TableType } from "./table-type.ts";
import { Uses } from "./uses.ts";
import type { TableViews } from "./views.ts";
import { Cache } from "./wrappers/cache.ts";
import { guardSource } from "./wrappers/guard.ts";
import type { GuardedSource } from "./wrappers/guarded-source.ts";
import { withKeyRules } from "./wrappers/key-rules.ts";
import { applyValueRules } from "./wrappers/value-rules.ts";

/** A table as configured, before it is opened. */
export interface TableSettings {
  readonly type: string;
  readonly options: unknown;
  readonly common: CommonOptions;
}

export interface TablesContext {
  readonly clock: Clock;
  /** The registered ones, but in tests. */
  readonly types?: ReadonlyMap<string, TableType>;
  readonly say: (level: LogLevel, text: string) => void;
  /** The router and the directory that go with these tables, once they are open. */
  readonly views?: TableViews;
  /** A table was written: resolves when other processes have forgotten what they knew of these keys, too. Never rejects. */
  readonly onWritten?: ((name: string, keys: readonly string[]) => Promise<void>) | undefined;
}

/** All tables of a configuration, by name. */
export interface TableSet {
  /** As the router asks: for exactly the key it gives. */
  readonly exact: ReadonlyMap<string, Table>;
  /** As listeners and commands ask: by the table's own `key:` rules. */
  readonly ruled: ReadonlyMap<string, Table>;
  /** What was cached of a key of a table, also by the sets before this one that are still asked. */
  forget(name: string, key: string): void;
  /** How often that happened lately, for whatever table: what was being asked meanwhile may be answered as it was before. */
  forgetCount(key: string): number;
  /** Ends those sources that `next` does not go on with, when nothing asks them any more. */
  close(next?: TableSet): Promise<void>;
  /** Resolves when nothing asks this set any more. */
  readonly closed: Promise<void>;
  /** For `next.close`: the sources by the name of their table. */
  readonly sources: ReadonlyMap<string, OpenSource>;
}

interface OpenSource {
  readonly settings: TableSettings;
  readonly guarded: GuardedSource;
  /** Opening it did not fail. */
  readonly isOpen: boolean;
}

/**
 * Opens tables. A remote source, or a file, whose settings did not change goes on with its connections, its breaker and whatever
 * it has read from files; caches begin empty.
 * What is wrong with a source shows when it is asked.
 * @throws only where we are at fault: a type or a member that does not exist
 */
export function openTables(
  configured: ReadonlyMap<string, TableSettings>,
  context: TablesContext,
  previous?: TableSet,
): TableSet {
  const { types = TABLE_TYPES } = context;
  const exact = new Map<string, Table>();
  const ruled = new Map<string, Table>();
  const sources = new Map<string, OpenSource>();
  /** Those that ask others, and end before them. */
  const composites: GuardedSource[] = [];
  const uses = new Uses();
  /** What must forget when a table is written. */
  const dependents = new Map<string, (() => void)[]>();
  const forgets = new ForgetCounts(context.clock);
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  /** No longer than it is asked: a chain of all sets since the start would fill the memory. */
  let older = previous;
  void older?.closed.then(() => (older = undefined));

  function openNamed(name: string, faces: "exact" | "ruled"): Table {
    const opened = (faces === "exact" ? exact : ruled).get(name);
    if (opened !== undefined) return opened;
    const settings = configured.get(name);
    if (settings === undefined) throw new Error(`table ${name} does not exist`);
    const type = types.get(settings.type);
    if (type === undefined) throw new Error(`table ${name} is of an unregistered type ${settings.type}`);
    const say = (level: LogLevel, text: string): void => context.say(level, `table ${name}: ${text}`);
    const members = new Set<string>();
    let isOpen = true;
    const openSource = (face: "exact" | "ruled"): GuardedSource => {
      const tableNamed = (member: string): Table => {
        members.add(member);
        return openNamed(member, face);
      };
      const sourceContext = { name, clock: context.clock, say, tableNamed, views: context.views };
      let source: Source;
      try {
        source = type.open(settings.options, sourceContext);
      } catch (error) {
        isOpen = false;
        say("error", `it cannot be opened, so lookups fail: ${errorText(error)}`);
        source = failingSource(`the table could not be opened: ${errorText(error)}`);
      }
      return guardSource(source, settings.common.guard, sourceContext);
    };
    const make = (guarded: GuardedSource): Table => makeTable(name, settings.common, guarded, context, dependents);
    if (type.kind === "composite") {
      const faces = { exact: openSource("exact"), ruled: openSource("ruled") };
      composites.push(faces.exact, faces.ruled);
      exact.set(name, make(faces.exact));
      ruled.set(name, withKeyRules(make(faces.ruled), settings.common.key));
    } else if (type.kind === "view") {
      const guarded = openSource("exact");
      composites.push(guarded);
      exact.set(name, make(guarded));
      ruled.set(name, withKeyRules(make(guarded), settings.common.key));
    } else {
      const old = older?.sources.get(name);
      const isSame = type.outlivesReload && old !== undefined && old.isOpen && isSameSource(old.settings, settings);
      const guarded = isSame ? old.guarded : openSource("exact");
      sources.set(name, { settings, guarded, isOpen });
      const table = make(guarded);
      exact.set(name, table);
      const asked = withKeyRules(table, settings.common.key);
      ruled.set(name, type.kind === "remote" ? uses.count(asked) : asked);
    }
    for (const member of members) dependents.set(member, [...(dependents.get(member) ?? []), () => flush(name)]);
    return openNamed(name, faces);
  }

  function flush(name: string): void {
    exact.get(name)?.flush?.();
    ruled.get(name)?.flush?.();
    for (const forget of dependents.get(name) ?? []) forget();
  }

  for (const name of configured.keys()) openNamed(name, "exact");
  return {
    exact,
    ruled,
    sources,
    forgetCount: (key) => forgets.of(key),
    forget(name, key) {
      older?.forget(name, key);
      forgets.note(key);
      exact.get(name)?.forget?.(key);
    },
    closed,
    async close(next) {
      // Who asks several tables one after the other still needs them, or one several times.
      await Promise.allSettled([...composites.map((composite) => composite.close()), uses.whenNone()]);
      onClosed();
      const kept = new Set([...(next?.sources.values() ?? [])].map(({ guarded }) => guarded));
      const ended = [...sources.values()].filter(({ guarded }) => !kept.has(guarded));
      await Promise.allSettled(ended.map(({ guarded }) => guarded.close()));
    },
  };
}

/** One that cannot be opened does not stop the daemon: whoever asks it tries again later. */
const failingSource = (reason: string): Source => ({ lookup: () => ({ kind: "failed", reason, scope: "source" }) });

/** What stands around a source may change without it. */
const isSameSource = (old: TableSettings, next: TableSettings): boolean =>
  old.type === next.type &&
  isDeepStrictEqual(old.options, next.options) &&
  isDeepStrictEqual(old.common.guard, next.common.guard);

function makeTable(
  name: string,
  { value, cache: cacheOptions }: CommonOptions,
  guarded: GuardedSource,
  { clock, onWritten }: TablesContext,
  dependents: ReadonlyMap<string, readonly (() => void)[]>,
): Table {
  const cache = cacheOptions && new Cache(cacheOptions, clock, guarded.lookup);
  const ask: Table["lookup"] = cache === undefined ? guarded.lookup : (key) => cache.lookup(key);
  const lookup = value === undefined ? ask : withValueRules(ask, value);
  const { write, list } = guarded;

  function forget(...keys: readonly string[]): void {
    for (const key of keys) cache?.forget(key);
    for (const flushDependent of dependents.get(name) ?? []) flushDependent();
  }

  async function writeAndForget(changes: readonly Change[]): Promise<WriteOutcome> {
    const keys = changes.map(({ key }) => key);
    // Before as well, so that nobody waits for an answer that will be old when it comes.
    forget(...keys);
    const outcome = (await write?.(changes)) ?? { kind: "failed", reason: "it cannot be written" };
    forget(...keys);
    await onWritten?.(name, keys);
    return outcome;
  }

  return {
    name,
    ...(guarded.entryCount === undefined ? {} : { entryCount: guarded.entryCount }),
    lookup,
    ...(cache === undefined
      ? {}
      : { lookupPastCache: value === undefined ? guarded.lookup : withValueRules(guarded.lookup, value) }),
    write: write && writeAndForget,
    list,
    flush: () => cache?.flush(),
    forget,
  };
}

const withValueRules =
  (ask: Table["lookup"], rules: ValueRules): Table["lookup"] =>
  (key) => {
    const answer = ask(key);
    return answer instanceof Promise
      ? answer.then((late) => applyValueRules(key, late, rules))
      : applyValueRules(key, answer, rules);
  };
