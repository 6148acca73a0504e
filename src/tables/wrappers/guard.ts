import type { Clock } from "../../core/clock.ts";
import { errorText } from "../error-text.ts";
import type { GuardOptions } from "../options.ts";
import type { Source, SourceContext } from "../source.ts";
import { TableFailure } from "../table.ts";
import type { Answer, TableEntry, WriteOutcome } from "../table.ts";
import { Breaker } from "./breaker.ts";
import type { Admission } from "./breaker.ts";
import type { GuardedSource } from "./guarded-source.ts";
import { Slots } from "./slots.ts";
import { toTableFailure, unguarded } from "./unguarded.ts";

export type { GuardedSource } from "./guarded-source.ts";

/** A failure is told again after this time at the earliest, in ms: one broken user must not fill the log. */
const REPEAT_MS = 60_000;
/** Failures told in that time, at most: a reason may name the key. */
const MAX_TOLD = 20;

/** One thing that is asked of a source. */
interface Task<Value> {
  readonly what: "a lookup" | "a write" | "a list";
  readonly act: (signal: AbortSignal) => Value | Promise<Value>;
  /** What a value says of the source, whatever it says of the key. */
  readonly judge: (value: Value) => Verdict;
}

type Verdict =
  | { readonly kind: "answers" }
  | { readonly kind: "fails"; readonly reason: string }
  | { readonly kind: "unknown" };

const ANSWERS: Verdict = { kind: "answers" };
const UNKNOWN: Verdict = { kind: "unknown" };

/** `wasBegun`: the source was asked, and may have done something. */
type Ended<Value> =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "failed"; readonly reason: string; readonly wasBegun: boolean };

type Admitted = Extract<Admission, { kind: "admitted" }>;

/** @param options undefined for sources that answer from memory or ask other tables */
export function guardSource(source: Source, options: GuardOptions | undefined, context: SourceContext): GuardedSource {
  const base = source.entryCount === undefined ? {} : { entryCount: source.entryCount };
  return options === undefined
    ? { ...base, ...unguarded(source, context) }
    : { ...base, ...new Guard(source, options, context).parts() };
}

class Guard {
  readonly #source: Source;
  readonly #options: GuardOptions;
  readonly #clock: Clock;
  readonly #say: SourceContext["say"];
  readonly #breaker: Breaker;
  readonly #slots: Slots;
  readonly #told = new Set<string>();
  #toldSinceMs = Number.NEGATIVE_INFINITY;
  #closing: Promise<void> | undefined;

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
      close: () => (this.#closing ??= this.#close()),
    };
  }

  async #close(): Promise<void> {
    await this.#slots.whenEmpty();
    await this.#source.close?.();
  }

  #lookup(key: string): Answer | Promise<Answer> {
    const ended = this.#run({
      what: "a lookup",
      act: (signal) => this.#source.lookup(key, signal),
      judge: judgeAnswer,
    });
    return ended instanceof Promise ? ended.then((late) => this.#toAnswer(late)) : this.#toAnswer(ended);
  }

  #toAnswer(ended: Ended<Answer>): Answer {
    if (ended.kind === "failed") return { kind: "failed", reason: ended.reason, scope: "source" };
    const answer = ended.value;
    if (answer.kind === "failed") this.#tell("a lookup", answer.reason);
    return answer;
  }

  async #write(act: (signal: AbortSignal) => Promise<WriteOutcome>): Promise<WriteOutcome> {
    const ended = await this.#run({ what: "a write", act, judge: judgeOutcome });
    if (ended.kind === "failed") return { kind: ended.wasBegun ? "uncertain" : "failed", reason: ended.reason };
    const outcome = ended.value;
    if (outcome.kind === "failed" || outcome.kind === "uncertain") this.#tell("a write", outcome.reason);
    return outcome;
  }

  async *#list(
    open: (signal: AbortSignal) => AsyncIterable<readonly TableEntry[]>,
  ): AsyncGenerator<readonly TableEntry[]> {
    const aborter = new AbortController();
    let pages: AsyncIterator<readonly TableEntry[]> | undefined;
    try {
      pages = open(aborter.signal)[Symbol.asyncIterator]();
      const { next } = pages;
      for (;;) {
        const ended = await this.#run({ what: "a list", act: () => next.call(pages), judge: () => ANSWERS });
        if (ended.kind === "failed") throw new TableFailure(ended.reason);
        if (ended.value.done === true) return;
        yield ended.value.value;
      }
    } catch (error) {
      throw toTableFailure(error);
    } finally {
      aborter.abort();
      // Who hangs is not waited for.
      void pages?.return?.().catch(() => undefined);
    }
  }

  /** Answers in the same turn where the source does and there is a slot. */
  #run<Value>(task: Task<Value>): Ended<Value> | Promise<Ended<Value>> {
    const admission = this.#breaker.admit();
    if (admission.kind === "refused") return { kind: "failed", reason: admission.reason, wasBegun: false };
    return this.#slots.tryTake()
      ? this.#begin(task, admission, this.#options.timeoutMs)
      : this.#beginLater(task, admission);
  }

  async #beginLater<Value>(task: Task<Value>, admission: Admitted): Promise<Ended<Value>> {
    const dueMs = this.#clock.nowMs() + this.#options.timeoutMs;
    const reason = await this.#waitForSlot(dueMs);
    if (reason !== undefined) {
      // It says nothing of the source: those who were asking it tell how it is.
      this.#breaker.abandoned(admission);
      this.#tell(task.what, reason);
      return { kind: "failed", reason, wasBegun: false };
    }
    // The source may have gone down meanwhile.
    const current = admission.isProbe ? admission : this.#breaker.admit();
    if (current.kind === "admitted") return this.#begin(task, current, dueMs - this.#clock.nowMs());
    this.#slots.release();
    return { kind: "failed", reason: current.reason, wasBegun: false };
  }

  /** With a slot that is taken. Who waits for it learns first how this one ended. */
  #begin<Value>(task: Task<Value>, admission: Admitted, leftMs: number): Ended<Value> | Promise<Ended<Value>> {
    const conclude = (ended: Ended<Value>): Ended<Value> => {
      this.#learn(task, admission, ended);
      this.#slots.release();
      return ended;
    };
    const aborter = new AbortController();
    let begun: Value | Promise<Value>;
    try {
      begun = task.act(aborter.signal);
    } catch (error) {
      return conclude({ kind: "failed", reason: errorText(error), wasBegun: true });
    }
    return begun instanceof Promise
      ? this.#await(begun, leftMs, aborter, conclude)
      : conclude({ kind: "value", value: begun });
  }

  #learn<Value>(task: Task<Value>, admission: Admitted, ended: Ended<Value>): void {
    const verdict: Verdict =
      ended.kind === "failed" ? { kind: "fails", reason: ended.reason } : task.judge(ended.value);
    switch (verdict.kind) {
      case "answers":
        this.#breaker.succeeded();
        return;
      case "fails":
        this.#tell(task.what, verdict.reason);
        this.#breaker.failed(admission, verdict.reason);
        return;
      case "unknown":
        this.#breaker.abandoned(admission);
        return;
    }
  }

  /** @returns why there is none */
  #waitForSlot(dueMs: number): Promise<string | undefined> {
    const { timeoutMs, maxInFlight } = this.#options;
    const tooLate = `not asked within ${timeoutMs} ms: ${maxInFlight} lookups were under way all the time`;
    return new Promise((resolve) => {
      const giveUp = this.#slots.wait(() => {
        timer.cancel();
        const isInTime = this.#clock.nowMs() < dueMs;
        resolve(isInTime ? undefined : tooLate);
        return isInTime;
      });
      const timer = this.#clock.after(timeoutMs, () => {
        giveUp?.();
        resolve(tooLate);
      });
      if (giveUp !== undefined) return;
      timer.cancel();
      resolve("too many lookups wait for the source");
    });
  }

  /** Who does not heed the abort keeps no slot by that. */
  #await<Value>(
    begun: Promise<Value>,
    leftMs: number,
    aborter: AbortController,
    conclude: (ended: Ended<Value>) => Ended<Value>,
  ): Promise<Ended<Value>> {
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
        resolve(conclude(ended));
      };
      begun.then(
        (value) => end({ kind: "value", value }),
        (error: unknown) => end({ kind: "failed", reason: errorText(error), wasBegun: true }),
      );
    });
  }

  #tell(what: Task<unknown>["what"], reason: string): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#toldSinceMs >= REPEAT_MS) {
      this.#told.clear();
      this.#toldSinceMs = nowMs;
    }
    if (this.#told.has(reason) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(reason);
    this.#say("warning", `${what} failed: ${reason}`);
  }
}

function judgeAnswer(answer: Answer): Verdict {
  return answer.kind === "failed" && answer.scope === "source" ? { kind: "fails", reason: answer.reason } : ANSWERS;
}

/** A write that failed may have been a bad one, or found nobody. */
function judgeOutcome({ kind }: WriteOutcome): Verdict {
  return kind === "done" || kind === "absent" ? ANSWERS : UNKNOWN;
}
