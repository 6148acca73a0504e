import type { Timer } from "../../core/clock.ts";
import { isActivePhase } from "../move.ts";
import type { MoveEntry, MoveEvent, MoveState } from "../move.ts";
import type { Act } from "../steps/act.ts";
import { nextStep } from "../steps/next-step.ts";
import type { Step } from "../steps/step.ts";
import { refused } from "../steps/step.ts";
import type { MoveSubject } from "../tools.ts";
import type { ActContext, RunParts } from "./context.ts";
import { outcomeOfIdle } from "./idle.ts";
import { appendStep, toStep } from "./journal.ts";
import type { Appended, JournalEnd } from "./journal.ts";
import { perform } from "./perform.ts";
import { performSwitch } from "./perform-switch.ts";
import { Stopped } from "./wait.ts";

export interface MoveRunOwner {
  /** The journal has a new state. */
  onState(run: MoveRun, event: MoveEvent): void;
  onAlarm(run: MoveRun, text: string): void;
  /** All events were taken. */
  onIdle(run: MoveRun): void;
}

/** One for all: the error that each abort makes by itself takes longer than the rest of it. */
const GIVEN_UP = new Stopped("it was given up");

type TakenStep = Exclude<Step, { kind: "refused" }>;

interface Taken {
  readonly event: MoveEvent;
  readonly step: TakenStep;
}

/** An act under way. */
interface Doing {
  readonly abort: AbortController;
  /** Resolves when nothing of it is under way any more. */
  ended: Promise<void>;
}

/**
 * One move: takes events one after the other, writes each to the journal, then does what follows. What an act reports when
 * another one has taken its place means nothing any more.
 */
export class MoveRun {
  readonly subject: MoveSubject;
  readonly #parts: RunParts;
  readonly #owner: MoveRunOwner;
  #state: MoveState;
  #position: number;
  /** Entries that go into the transaction of the switch, which is their act. */
  #unwritten: readonly MoveEntry[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  #pendingCount = 0;
  #doing: Doing | undefined;
  readonly #stopped = new AbortController();
  #deadline: Timer | undefined;

  constructor(subject: MoveSubject, end: JournalEnd, parts: RunParts, owner: MoveRunOwner) {
    this.subject = subject;
    this.#state = end.state;
    this.#position = end.position;
    this.#parts = parts;
    this.#owner = owner;
  }

  get state(): MoveState {
    return this.#state;
  }

  get isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** @returns what came of it; refused events are written nowhere */
  dispatch(event: MoveEvent): Promise<Step> {
    return this.#inTurn(() => this.#take(event));
  }

  /** The user will be released then. */
  watchDeadline(deadlineMs: number): void {
    this.#deadline?.cancel();
    const { clock } = this.#parts;
    this.#deadline = clock.after(Math.max(0, deadlineMs - clock.wallMs()), () => {
      void this.dispatch({ kind: "deadline-passed" });
    });
  }

  /** Takes no more events, and leaves the rest to the next start. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#deadline?.cancel();
    this.#doing?.abort.abort(GIVEN_UP);
    await this.#doing?.ended;
    await this.#queue;
  }

  #inTurn(take: () => Promise<Step>): Promise<Step> {
    this.#pendingCount += 1;
    const taken = this.#queue.then(async () => {
      const step = await this.#takeSafely(take);
      this.#pendingCount -= 1;
      if (this.#pendingCount === 0) this.#owner.onIdle(this);
      return step;
    });
    this.#queue = taken;
    return taken;
  }

  async #takeSafely(take: () => Promise<Step>): Promise<Step> {
    if (this.isStopped) return refused("the daemon stops");
    try {
      return await take();
    } catch (error) {
      if (error instanceof Stopped) return refused("the daemon stops");
      this.#alarm(`this move is left alone until the next start: ${String(error)}`);
      this.#stopped.abort();
      return refused(String(error));
    }
  }

  async #take(event: MoveEvent): Promise<Step> {
    const taken = this.#follow(event);
    const last = taken.at(-1);
    if (last === undefined) return nextStep(this.#state, event);
    const entries = [...this.#unwritten, ...taken.map(({ event, step }) => ({ event, state: step.state }))];
    if (isOwnTransaction(last.step)) this.#unwritten = entries;
    else {
      const appended = await this.#append(entries);
      if (appended.kind === "refused") return appended;
      this.#unwritten = [];
      this.#position = appended.position;
    }
    for (const each of taken) this.#enter(each.event, each.step, each === last);
    return last.step;
  }

  /** Where the event leads, and on from there for as long as there is nothing to do. Nothing: it is refused. */
  #follow(event: MoveEvent): readonly Taken[] {
    const taken: Taken[] = [];
    let state = this.#state;
    for (let next: MoveEvent | undefined = event; next !== undefined;) {
      const step = nextStep(state, next);
      if (step.kind === "refused") break;
      taken.push({ event: next, step });
      state = step.state;
      const act = step.kind === "enter" ? step.act : undefined;
      next = act && outcomeOfIdle(act, this.subject, this.#parts);
    }
    return taken;
  }

  #append(entries: readonly MoveEntry[]): Promise<Appended> {
    const { directory, clock } = this.#parts;
    const persistence = { clock, signal: this.#stopped.signal, alarm: (text: string) => this.#alarm(text) };
    return appendStep(directory, this.subject.moveId, this.#position, toStep(entries), persistence);
  }

  /** @param isLast false: the act of the state had nothing to do */
  #enter(event: MoveEvent, step: TakenStep, isLast: boolean): void {
    this.#state = step.state;
    if (step.kind === "enter") {
      this.#doing?.abort.abort(GIVEN_UP);
      this.#doing = undefined;
      if (!mayExpire(step.state)) this.#deadline?.cancel();
      if (isLast && step.act !== undefined && !this.isStopped) this.#begin(step.act);
    }
    this.#owner.onState(this, event);
  }

  #begin(act: Act): void {
    const doing: Doing = { abort: new AbortController(), ended: Promise.resolve() };
    this.#doing = doing;
    doing.ended = this.#do(act, doing).catch((error: unknown) => {
      if (!(error instanceof Stopped)) this.#alarm(`${act.kind}: ${String(error)}`);
    });
  }

  async #do(act: Act, doing: Doing): Promise<void> {
    const context = this.#contextOf(doing);
    if (act.kind === "switch") return this.#switch(act, doing, context);
    const event = await perform(act, context);
    // Not awaited: whoever stops this run waits for the act and for its turn.
    void this.#dispatchFrom(doing, event);
  }

  async #switch(act: Extract<Act, { kind: "switch" }>, doing: Doing, context: ActContext): Promise<void> {
    const event: MoveEvent = { kind: "switched" };
    const step = nextStep(this.#state, event);
    if (step.kind === "refused") throw new Error(step.why);
    const entries = [...this.#unwritten, { event, state: step.state }];
    const result = await performSwitch(act.cutover, context, this.#position, entries);
    if (result.kind === "failed") return void this.#dispatchFrom(doing, result);
    void this.#inTurn(async () => {
      this.#position += entries.length;
      this.#unwritten = [];
      this.#enter(event, step, true);
      return step;
    });
  }

  #dispatchFrom(doing: Doing, event: MoveEvent): Promise<Step> {
    return this.#inTurn(async () => (this.#doing === doing ? this.#take(event) : refused("it was given up")));
  }

  #contextOf(doing: Doing): ActContext {
    const { subject } = this;
    return {
      parts: this.#parts,
      subject,
      round: this.#state.phase === "pre-sync" ? this.#state.round : 1,
      signal: doing.abort.signal,
      mayStart: async (command) =>
        (await this.#dispatchFrom(doing, { kind: "command-started", command })).kind !== "refused",
      alarm: (text) => this.#alarm(text),
      onHold: (deadlineMs) => this.watchDeadline(deadlineMs),
    };
  }

  #alarm(text: string): void {
    this.#owner.onAlarm(this, text);
  }
}

/** The directory does it as a whole or not at all, with the entries that led there. */
const isOwnTransaction = (step: TakenStep): boolean =>
  step.kind === "enter" && step.act?.kind === "switch" && step.act.cutover.outside === undefined;

/** The deadline of a hold still means something. */
function mayExpire(state: MoveState): boolean {
  switch (state.phase) {
    case "hold":
    case "final-sync":
    case "verify":
    case "switch":
      return true;
    case "rolling-back":
      return state.undo === "hold-and-lock" && state.doing === "stopping";
    case "planned":
    case "paused":
    case "pre-sync":
    case "lock":
    case "release":
    case "unlock":
    case "done":
    case "rehearsed":
    case "rolled-back":
    case "failed":
      return false;
  }
}

/** A state that nobody is needed for: it waits for its turn or for an operator, or has ended. */
export const isAtRest = (state: MoveState): boolean =>
  state.phase === "planned" || (state.phase === "paused" && state.command === undefined) || !isActivePhase(state.phase);
