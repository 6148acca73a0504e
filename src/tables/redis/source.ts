import { formatEndpoint } from "../../core/endpoint.ts";
import { errorText } from "../error-text.ts";
import type { Source, SourceContext } from "../source.ts";
import { ABSENT, DONE, TableFailure } from "../table.ts";
import type { Answer, Change, TableEntry, WriteOutcome } from "../table.ts";
import { createLayout } from "./commands.ts";
import type { KeyTemplate } from "./key-template.ts";
import { RedisLink, RedisRefused } from "./link.ts";
import type { RedisArgument, RedisReply, RedisServer } from "./link.ts";
import { textOf, writeAll } from "./write.ts";

export interface RedisOptions {
  readonly server: RedisServer;
  readonly template: KeyTemplate;
  /** Undefined where each entry has a key of its own. */
  readonly hash: string | undefined;
}

/** Keys of a list: with more, it has failed. */
const MAX_LIST_KEYS = 1_000_000;

export function openRedisSource({ server, template, hash }: RedisOptions, { clock }: SourceContext): Source {
  const name = `redis at ${formatEndpoint(server.address)}`;
  const layout = createLayout(template, hash);
  const explain = (error: unknown): string => `${name}: ${errorText(error)}`;
  let current: RedisLink | undefined;
  /** The last write, whatever became of it. */
  let writing: Promise<unknown> = Promise.resolve();

  /** One that is ready, or is about to be. */
  function link(): RedisLink {
    if (current?.isUsable !== true) {
      current = new RedisLink(server, clock);
      // Whoever waits for it hears of it.
      current.ready.catch(() => undefined);
    }
    return current;
  }

  /** Who gives up while the server is silent ends the connection, for all that wait for it. */
  async function use<Result>(
    signal: AbortSignal,
    act: (link: RedisLink) => Promise<Result>,
    mayRepeat: boolean,
  ): Promise<Result> {
    const used = link();
    const wasReady = used.isReady;
    const sinceMs = clock.nowMs();
    const giveUp = (): void => used.breakIfSilent(sinceMs);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      if (!wasReady) await used.ready;
      return await act(used);
    } catch (error) {
      if (error instanceof RedisRefused || !wasReady || signal.aborted || !mayRepeat) throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
    // It had died while nobody looked.
    return use(signal, act, false);
  }

  async function lookup(key: string, signal: AbortSignal): Promise<Answer> {
    try {
      const reply = await use(signal, (used) => used.send(...layout.get(key)), true);
      const value = textOf(reply);
      if (value !== undefined) return { kind: "found", value };
      return reply === null ? ABSENT : { kind: "failed", reason: `${name}: an answer that is no string` };
    } catch (error) {
      const isDown = !(error instanceof RedisRefused) || error.isServerDown;
      return { kind: "failed", reason: explain(error), ...(isDown ? { scope: "source" as const } : {}) };
    }
  }

  async function write(changes: readonly Change[], signal: AbortSignal): Promise<WriteOutcome> {
    if (changes.length === 0) return DONE;
    const written = writing.then(() => use(signal, (used) => writeAll(used, layout, changes, signal), false));
    writing = written.catch(() => undefined);
    try {
      const outcome = await written;
      return "reason" in outcome ? { ...outcome, reason: `${name}: ${outcome.reason}` } : outcome;
    } catch (error) {
      return { kind: "failed", reason: explain(error) };
    }
  }

  async function* list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly TableEntry[]> {
    // A scan may give a key twice. Source: the manual of SCAN.
    const seen = new Set<string>();
    let cursor: RedisArgument = "0";
    do {
      let page: readonly TableEntry[];
      try {
        [cursor, page] = await use(signal, (used) => readPage(used, cursor, prefix), true);
      } catch (error) {
        throw new TableFailure(explain(error), { cause: error });
      }
      page = page.filter(({ key }) => key.startsWith(prefix) && !seen.has(key));
      for (const { key } of page) seen.add(key);
      if (seen.size > MAX_LIST_KEYS) throw new TableFailure(`${name}: there are more than ${MAX_LIST_KEYS} keys`);
      if (page.length > 0) yield page;
    } while (cursor.toString() !== "0");
  }

  async function readPage(
    used: RedisLink,
    cursor: RedisArgument,
    prefix: string,
  ): Promise<[cursor: RedisArgument, page: readonly TableEntry[]]> {
    const [next, found] = (await used.send(...layout.scan(cursor, prefix))) as [Buffer, readonly Buffer[]];
    if (layout.values === undefined) return [next, toEntries(evenOf(found), oddOf(found))];
    if (found.length === 0) return [next, []];
    return [next, toEntries(found, (await used.send(...layout.values(found))) as readonly RedisReply[])];
  }

  /** What has no string for a value was removed meanwhile, or is of another type. */
  function toEntries(keys: readonly Buffer[], values: readonly RedisReply[]): readonly TableEntry[] {
    return keys.flatMap((full, at) => {
      const [key, value] = [layout.keyIn(full), textOf(values[at])];
      return key === undefined || value === undefined ? [] : [{ key, value }];
    });
  }

  return { lookup, write, list, close: () => current?.destroy() };
}

const evenOf = (items: readonly Buffer[]): readonly Buffer[] => items.filter((_, at) => at % 2 === 0);
const oddOf = (items: readonly Buffer[]): readonly Buffer[] => items.filter((_, at) => at % 2 === 1);
