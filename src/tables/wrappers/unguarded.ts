import { errorText } from "../error-text.ts";
import type { Source, SourceContext } from "../source.ts";
import { TableFailure } from "../table.ts";
import type { Answer, TableEntry, WriteOutcome } from "../table.ts";
import type { GuardedSource } from "./guarded-source.ts";

/** For a source that needs no guard, since it answers from memory or asks other tables. */
export function unguarded(source: Source, { say }: SourceContext): Omit<GuardedSource, "entryCount"> {
  const never = new AbortController().signal;
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;
  const failed = (error: unknown): Answer => {
    say("error", `a bug: ${errorText(error)}`);
    return { kind: "failed", reason: errorText(error), scope: "source" };
  };
  function track<Value>(promise: Promise<Value>): Promise<Value> {
    underWay.add(promise);
    return promise.finally(() => underWay.delete(promise));
  }
  async function close(): Promise<void> {
    while (underWay.size > 0) await Promise.all(underWay);
    await source.close?.();
  }
  const { write, list } = source;
  return {
    lookup(key) {
      try {
        const answer = source.lookup(key, never);
        return answer instanceof Promise ? track(answer.catch(failed)) : answer;
      } catch (error) {
        return failed(error);
      }
    },
    write:
      write &&
      ((changes) =>
        track(
          (async () => write.call(source, changes, never))().catch((error: unknown): WriteOutcome => ({
            kind: "uncertain",
            reason: errorText(error),
          })),
        )),
    list: list && ((prefix) => failingAsTable(() => list.call(source, prefix, never))),
    close: () => (closing ??= close()),
  };
}

async function* failingAsTable(
  open: () => AsyncIterable<readonly TableEntry[]>,
): AsyncGenerator<readonly TableEntry[]> {
  try {
    yield* open();
  } catch (error) {
    throw toTableFailure(error);
  }
}

export const toTableFailure = (error: unknown): TableFailure =>
  error instanceof TableFailure ? error : new TableFailure(errorText(error), { cause: error });
