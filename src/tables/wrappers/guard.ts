import type { Clock } from "../../core/clock.ts";
import type { GuardOptions } from "../options.ts";
import type { Source, SourceContext } from "../source.ts";
import { TableFailure } from "../table.ts";
import type { Answer, Change, TableEntry, WriteOutcome } from "../table.ts";
import { Breaker } from "./breaker.ts";
import { Slots } from "./slots.ts";

/** A source with whom nobody waits too long, and who is not asked too much. Never throws or rejects. */
export interface GuardedSource {
  readonly entryCount?: number;
  lookup(key: string): Answer | Promise<Answer>;
  readonly write: ((changes: readonly Change[]) => Promise<WriteOutcome>) | undefined;
  readonly list: ((prefix: string) => AsyncIterable<readonly TableEntry[]>) | undefined;
  /** Resolves when what was under way has ended and the source is closed. */
  close(): Promise<void>;
}

/** A failure is told again after this time at the earliest, in ms: one broken user must not fill the log. */
const REPEAT_MS = 60_000;

/** `wasBegun`: the source was asked, and may have done something. */
type Ended<Value> =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "failed"; readonly reason: string; readonly wasBegun: boolean };

/** @param options undefined for sources that answer at once and cannot be out of reach */
export function guardSource(source: Source, options: GuardOptions | undefined, context: SourceContext): GuardedSource {
  const base = source.entryCount === undefined ? {} : { entryCount: source.entryCount };
  return options === undefined
    ? { ...base, ...unguarded(source, context) }
    : { ...base, ...new Guard(source, options, context).parts() };
}

function unguarded(source: Source, { say }: SourceContext): Omit<GuardedSource, "entryCount"> {
  const never = new AbortController().signal;
  const underWay = new Set<Promise<unknown>>();
  const failed = (error: unknown): Answer => {
    say("error", `a bug: ${reasonOf(error)}`);
    return { kind: "failed", reason: reasonOf(error), scope: "source" };
  };
  function track<Value>(promise: Promise<Value>): Promise<Value> {
    underWay.add(promise);
    return promise.finally(() => underWay.delete(promise));
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
            reason: reasonOf(error),
          })),
        )),
    list: list && ((prefix) => failingAsTable(() => list.call(source, prefix, never))),
    close: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
      await source.close?.();
    },
  };
}

async function* failingAsTable(
  open: () => AsyncIterable<readonly TableEntry[]>,
): AsyncGenerator<readonly TableEntry[]> {
  try {
    yield* open();
  } catch (error) {
    throw error instanceof TableFailure ? error : new TableFailure(reasonOf(error), { cause: error });
  }
}

class Guard {
  readonly #source: Source;
  readonly #options: GuardOptions;
  readonly #clock: Clock;
  readonly #say: SourceContext["say"];
  readonly #breaker: Breaker;
  readonly #slots: Slots;
  #lastSaid = "";
  #lastSaidMs = Number.NEGATIVE_INFINITY;

  constructor(source: Source, options: GuardOptions, { clock, say }: SourceContext) {
    this.#source = source;
    this.#options = options;
    this.#clock = clock;
    this.#say = say;
    this.#slots = new Slots(options.maxInFlight);
    this.#breaker = new Breaker(options.breaker, clock, {
      opened: (reason, forMs) =>
        say("error", `the source is down, lookups fail at once for ${Math.ceil(forMs / 1000)} s: ${reason}`),
      closed: (downMs) => say("notice", `the source answers again, after ${Math.ceil(downMs / 1000)} s`),
    });
  }

  parts(): Omit<GuardedSource, "entryCount"> {
    const { write, list } = this.#source;
    return {
      lookup: (key) => this.#lookup(key),
      write: write && ((changes) => this.#write((signal) => write.call(this.#source, changes, signal))),
      list: list && ((prefix) => this.#list((signal) => list.call(this.#source, prefix, signal))),
      close: async () => {
        await this.#slots.whenEmpty();
        await this.#source.close?.();
      },
    };
  }

  #lookup(key: string): Answer | Promise<Answer> {
    const ended = this.#run((signal) => this.#source.lookup(key, signal), sourceFailureOf);
    return ended instanceof Promise ? ended.then((late) => this.#toAnswer(late)) : this.#toAnswer(ended);
  }

  #toAnswer(ended: Ended<Answer>): Answer {
    if (ended.kind === "failed") return { kind: "failed", reason: ended.reason, scope: "source" };
    const answer = ended.value;
    if (answer.kind === "failed") this.#sayFailed(answer.reason);
    return answer;
  }

  async #write(act: (signal: AbortSignal) => Promise<WriteOutcome>): Promise<WriteOutcome> {
    const ended = await this.#run(act, () => undefined);
    if (ended.kind === "failed") return { kind: ended.wasBegun ? "uncertain" : "failed", reason: ended.reason };
    return ended.value;
  }

  async *#list(
    open: (signal: AbortSignal) => AsyncIterable<readonly TableEntry[]>,
  ): AsyncGenerator<readonly TableEntry[]> {
    const aborter = new AbortController();
    const pages = open(aborter.signal)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const ended = await this.#run(
          () => pages.next(),
          () => undefined,
        );
        if (ended.kind === "failed") throw new TableFailure(ended.reason);
        if (ended.value.done === true) return;
        yield ended.value.value;
      }
    } finally {
      aborter.abort();
      // Who hangs is not waited for.
      void pages.return?.().catch(() => undefined);
    }
  }

  /** Answers in the same turn where the source does and there is a slot. */
  #run<Value>(
    act: (signal: AbortSignal) => Value | Promise<Value>,
    failureOf: (value: Value) => string | undefined,
  ): Ended<Value> | Promise<Ended<Value>> {
    const admission = this.#breaker.admit();
    if (admission.kind === "refused") return { kind: "failed", reason: admission.reason, wasBegun: false };
    const conclude = (ended: Ended<Value>): Ended<Value> => {
      const failure = ended.kind === "failed" ? ended.reason : failureOf(ended.value);
      if (failure === undefined) this.#breaker.succeeded();
      else {
        this.#sayFailed(failure);
        this.#breaker.failed(admission, failure);
      }
      return ended;
    };
    const aborter = new AbortController();
    if (!this.#slots.tryTake()) return this.#waitAndBegin(act, aborter).then(conclude);
    let begun: Value | Promise<Value>;
    try {
      begun = act(aborter.signal);
    } catch (error) {
      this.#slots.release();
      return conclude({ kind: "failed", reason: reasonOf(error), wasBegun: true });
    }
    if (begun instanceof Promise) return this.#settle(begun, this.#options.timeoutMs, aborter).then(conclude);
    this.#slots.release();
    return conclude({ kind: "value", value: begun });
  }

  async #waitAndBegin<Value>(
    act: (signal: AbortSignal) => Value | Promise<Value>,
    aborter: AbortController,
  ): Promise<Ended<Value>> {
    const dueMs = this.#clock.nowMs() + this.#options.timeoutMs;
    const reason = await this.#waitForSlot();
    if (reason !== undefined) return { kind: "failed", reason, wasBegun: false };
    const begun = (async () => act(aborter.signal))();
    return this.#settle(begun, Math.max(0, dueMs - this.#clock.nowMs()), aborter);
  }

  /** @returns why there is none */
  #waitForSlot(): Promise<string | undefined> {
    const { timeoutMs, maxInFlight } = this.#options;
    return new Promise((resolve) => {
      const giveUp = this.#slots.wait(() => {
        timer.cancel();
        resolve(undefined);
      });
      const timer = this.#clock.after(timeoutMs, () => {
        giveUp?.();
        resolve(`not asked within ${timeoutMs} ms: ${maxInFlight} lookups were under way all the time`);
      });
      if (giveUp !== undefined) return;
      timer.cancel();
      resolve("too many lookups wait for the source");
    });
  }

  /** Who does not heed the abort keeps no slot by that. */
  #settle<Value>(begun: Promise<Value>, leftMs: number, aborter: AbortController): Promise<Ended<Value>> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(leftMs, () => {
        const reason = `no answer within ${this.#options.timeoutMs} ms`;
        end({ kind: "failed", reason, wasBegun: true });
        aborter.abort(new TableFailure(reason));
      });
      let isEnded = false;
      const end = (ended: Ended<Value>): void => {
        if (isEnded) return;
        isEnded = true;
        timer.cancel();
        this.#slots.release();
        resolve(ended);
      };
      begun.then(
        (value) => end({ kind: "value", value }),
        (error: unknown) => end({ kind: "failed", reason: reasonOf(error), wasBegun: true }),
      );
    });
  }

  /** One line a minute, or one for each reason that is new. */
  #sayFailed(reason: string): void {
    const nowMs = this.#clock.nowMs();
    if (reason === this.#lastSaid && nowMs - this.#lastSaidMs < REPEAT_MS) return;
    this.#lastSaid = reason;
    this.#lastSaidMs = nowMs;
    this.#say("warning", `a lookup failed: ${reason}`);
  }
}

const sourceFailureOf = (answer: Answer): string | undefined =>
  answer.kind === "failed" && answer.scope === "source" ? answer.reason : undefined;

/** The innermost message says what happened; libraries wrap it. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return error.message === "" ? code || error.name : error.message;
}
