import assert from "node:assert/strict";
import type { GuardOptions } from "../../src/tables/options.ts";
import type { Source } from "../../src/tables/source.ts";
import type { Answer } from "../../src/tables/table.ts";
import { guardSource } from "../../src/tables/wrappers/guard.ts";
import type { GuardedSource } from "../../src/tables/wrappers/guarded-source.ts";
import { createFakeClock } from "./fake-clock.ts";
import type { FakeClock } from "./fake-clock.ts";

const OPTIONS: GuardOptions = {
  timeoutMs: 5_000,
  maxInFlight: 2,
  breaker: { failures: 3, minBackoffMs: 1_000, maxBackoffMs: 4_000 },
};

export const found = (value: string): Answer => ({ kind: "found", value });
export const failed = (reason: string): Answer => ({ kind: "failed", reason, scope: "source" });

/** One thing that the source was asked and has not answered. */
export interface Open {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export interface Bench {
  readonly guarded: GuardedSource;
  readonly clock: FakeClock;
  readonly said: string[];
  /** What the source was asked, in order. */
  readonly open: Open[];
}

function guard(source: Source, options: GuardOptions | undefined, clock: FakeClock, said: string[]): GuardedSource {
  return guardSource(source, options, {
    name: "users",
    clock,
    say: (level, text) => void said.push(`${level} ${text}`),
    tableNamed: () => assert.fail(),
  });
}

export const withoutGuard = (source: Source, said: string[] = []): GuardedSource =>
  guard(source, undefined, createFakeClock(), said);

/** @param source in place of one whose lookups wait for the test */
export function start(source?: Source): Bench {
  const clock = createFakeClock();
  const said: string[] = [];
  const open: Open[] = [];
  const waiting: Source = {
    lookup: (key, signal) => new Promise((resolve, reject) => open.push({ key, signal, resolve, reject })),
  };
  const guarded = guard(source ?? waiting, OPTIONS, clock, said);
  return { guarded, clock, said, open };
}

/** Lets everything happen that waits for nothing but its turn. */
export const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
