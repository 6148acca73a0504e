import type { Clock } from "../core/clock.ts";
import type { MetricsJson } from "../observe/metrics.ts";
import { KeptCounters } from "./kept-counters.ts";
import type { Answered, Asked, QuestionKind, ToWorker, WorkerDrain, WorkerReport } from "./messages.ts";
import type { WorkerProcess } from "./worker-process.ts";

/** What a worker has beyond the time that a drain may take, in ms, before it counts as stuck. */
const SLACK_MS = 2_000;

/** For what somebody waits for, in ms: an operator for the status, a user who is locked out for a move. */
const ANSWER_TIMEOUT_MS = 2_000;

/** All workers, for what must be asked of each. */
export class Roster {
  readonly #clock: Clock;
  /** Those that live, and those whose end is not written down yet, with what to tell who waits for them once it is. */
  readonly #members = new Map<WorkerProcess, Set<() => void>>();
  readonly #counters = new KeptCounters<WorkerProcess>();
  /** When one died the last time, on the wall clock in ms. */
  #crashedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get all(): readonly WorkerProcess[] {
    return [...this.#members.keys()];
  }

  /** A worker that was not opened has nothing, and will see every hold that is there by then. */
  get serving(): readonly WorkerProcess[] {
    return [...this.#members.keys()].filter(({ state }) => state !== "launching");
  }

  /** @param ended resolves when its end is written down, before which it must not be removed */
  add(worker: WorkerProcess, ended: Promise<void>): void {
    const unanswered = new Set<() => void>();
    this.#members.set(worker, unanswered);
    void ended.then(() => {
      for (const giveUp of unanswered) giveUp();
      return undefined;
    });
  }

  has(worker: WorkerProcess): boolean {
    return this.#members.has(worker);
  }

  remove(worker: WorkerProcess): void {
    this.#members.delete(worker);
    this.#counters.end(worker);
  }

  noteCrash(): void {
    this.#crashedMs = this.#clock.wallMs();
  }

  tellAll(message: ToWorker): void {
    for (const each of this.#members.keys()) each.tell(message);
  }

  /** Waits in every worker. To be called once the user is held. */
  async drain(user: string, options: { readonly graceMs: number; readonly timeoutMs: number }): Promise<WorkerDrain> {
    const results = await Promise.all(this.serving.map((each) => this.#drainOne(each, user, options)));
    return {
      found: results.reduce((sum, { found }) => sum + found, 0),
      cut: results.reduce((sum, { cut }) => sum + cut, 0),
      left: results.flatMap(({ left }) => left),
    };
  }

  /** Resolves when no worker answers any more by what it knew of these keys. */
  async forget(table: string, keys: readonly string[]): Promise<void> {
    await Promise.all(this.serving.map((each) => this.ask(each, "forget", { table, keys })));
  }

  /** When a login was last let through in any worker, on the wall clock in ms. */
  async lastLoginMs(user: string): Promise<number> {
    const answers = await this.#inTime(this.serving.map((each) => this.ask(each, "last-login", { user })));
    // Whom a worker that has died let in, or one that hangs, nobody knows.
    const nowMs = this.#clock.wallMs();
    return Math.max(this.#crashedMs, ...answers.map((answer) => answer?.atMs ?? nowMs));
  }

  /** Of those that answer in time. */
  async reports(maxDeliveries: number): Promise<readonly WorkerReport[]> {
    const answers = await this.#inTime(this.serving.map((each) => this.ask(each, "report", { maxDeliveries })));
    return answers.filter((answer) => answer !== undefined);
  }

  /** What all have counted, those that have ended included. */
  async metrics(): Promise<readonly MetricsJson[]> {
    const asked = this.serving;
    const answers = await this.#inTime(asked.map((each) => this.ask(each, "report", { maxDeliveries: 0 })));
    // Who has ended meanwhile is among those that have.
    const known = asked.flatMap((each, index) =>
      this.has(each) ? [this.#counters.note(each, answers[index]?.metrics)] : [],
    );
    return [...known, this.#counters.ended];
  }

  /** @returns undefined where the worker has ended, and that is written down */
  ask<Kind extends QuestionKind>(
    worker: WorkerProcess,
    kind: Kind,
    asked: Asked<Kind>,
  ): Promise<Answered<Kind> | undefined> {
    const unanswered = this.#members.get(worker);
    if (unanswered === undefined) return Promise.resolve(undefined);
    // No race with one promise for its end: that would keep every answer for as long as the worker lives.
    return new Promise((resolve) => {
      const giveUp = (): void => resolve(undefined);
      unanswered.add(giveUp);
      void worker.ask(kind, asked).then((answer) => {
        unanswered.delete(giveUp);
        return resolve(answer);
      });
    });
  }

  /** Undefined for those that do not come. */
  async #inTime<Answer>(asked: readonly Promise<Answer>[]): Promise<readonly (Answer | undefined)[]> {
    const late = Promise.withResolvers<undefined>();
    const timer = this.#clock.after(ANSWER_TIMEOUT_MS, () => late.resolve(undefined));
    const answers = await Promise.all(asked.map((answer) => Promise.race([answer, late.promise])));
    timer.cancel();
    return answers;
  }

  async #drainOne(
    worker: WorkerProcess,
    user: string,
    options: { readonly graceMs: number; readonly timeoutMs: number },
  ): Promise<WorkerDrain> {
    const late = Promise.withResolvers<WorkerDrain>();
    const timer = this.#clock.after(options.timeoutMs + SLACK_MS, () =>
      late.resolve({ found: 1, cut: 0, left: [silent(user, worker.pid, options.timeoutMs)] }),
    );
    const result = await Promise.race([this.ask(worker, "drain", { user, ...options }), late.promise]);
    timer.cancel();
    // It has ended, and that is written down: what it had sent is uncertain.
    return result ?? { found: 0, cut: 0, left: [] };
  }
}

/** A worker that does not answer: whatever it has under way. */
const silent = (user: string, pid: number, ageMs: number): WorkerDrain["left"][number] => ({
  user,
  session: `worker ${pid}`,
  backend: undefined,
  stage: "unknown: the worker does not answer",
  ageMs,
});
