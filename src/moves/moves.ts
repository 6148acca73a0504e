import type { LogLevel } from "../core/log.ts";
import type { Author, Move } from "../directory/directory.ts";
import { isActivePhase, isLockedPhase } from "./move.ts";
import type { MoveEvent, MoveState } from "./move.ts";
import type {
  BatchSummary,
  MoveDetails,
  MoveListFilter,
  MoveService,
  MoveServiceEvent,
  MoveView,
  OrderResult,
  StartRequest,
  StartResult,
} from "./move-service.ts";
import { allMoves, Batches, batchOf } from "./run/batches.ts";
import type { RunParts } from "./run/context.ts";
import { readEnd } from "./run/journal.ts";
import { MoveQueue } from "./run/move-queue.ts";
import type { QueueLimits } from "./run/move-queue.ts";
import { isAtRest, MoveRun } from "./run/move-run.ts";
import { planMoves } from "./run/plan.ts";
import { doingOf, reasonOf, roundOf, toLine, toSubject, toView, warningsOf } from "./run/views.ts";
import type { Order } from "./steps/orders.ts";

export interface MovesParts extends RunParts {
  readonly limits: () => QueueLimits;
  readonly defaultPreset: () => string | undefined;
  /** Why deliveries may reach stores past us, such as a view with `direct: true`; undefined: they cannot. */
  readonly bypass: () => string | undefined;
  /** Files of a move that are there. */
  /** Names who failed of a batch; undefined where there is none. */
  readonly failedPathOf: (batchId: string) => string | undefined;
  readonly filesOf: (moveId: string) => Pick<MoveDetails, "logPath" | "reportPath">;
  readonly say: (level: LogLevel, text: string) => void;
}

/** Runs all moves of the daemon. Call `recover` before anything else. */
export class Moves implements MoveService {
  readonly #parts: MovesParts;
  readonly #runs = new Map<string, MoveRun>();
  readonly #queue = new MoveQueue();
  readonly #batches: Batches;
  readonly #listeners = new Set<(event: MoveServiceEvent) => void>();
  /** By move, what was said in alarm since it last moved on. */
  readonly #troubles = new Map<string, string>();
  /** Whoever comes earlier has to wait: there would be two at work on one move. */
  #recovered: Promise<void> = Promise.resolve();
  #isClosing = false;
  #onQuiet: (() => void) | undefined;

  constructor(parts: MovesParts) {
    this.#parts = parts;
    this.#batches = new Batches(parts.directory);
  }

  /**
   * Goes on with what the journals tell of, after a crash as after an orderly end. Resolves when all is known; what was
   * under way is finished or rolled back after that.
   * @throws DirectoryFailed
   */
  recover(): Promise<void> {
    this.#recovered = this.#recover();
    return this.#recovered;
  }

  async #recover(): Promise<void> {
    const active: Move[] = [];
    for await (const move of allMoves(this.#parts.directory, true)) active.push(move);
    await this.#batches.recover(new Set(active.map(({ id }) => batchOf(id))));
    for (const move of active) this.#recoverMove(move);
    this.#startNext();
  }

  async start(request: StartRequest): Promise<StartResult> {
    await this.#recovered;
    if (this.#isClosing) throw new Error("the daemon stops");
    return planMoves(request, this.#parts, (move) => {
      this.#batches.note(move.id, move.user, "planned");
      this.#tell(toView(move), { phase: "planned", round: 1, command: undefined });
      this.#queue.add({ moveId: move.id, from: move.from, to: move.to });
      // Once the caller has what it asked for.
      setImmediate(() => this.#startNext());
    });
  }

  list({ phases, ...filter }: MoveListFilter = {}): readonly MoveView[] {
    const states = phases === undefined ? {} : { states: phases };
    return this.#parts.directory.moves.list({ ...filter, ...states }).map((move) => this.#view(move));
  }

  show(moveId: string): MoveDetails | undefined {
    const { directory, filesOf } = this.#parts;
    const move = directory.moves.find(moveId);
    if (move === undefined) return undefined;
    const journal = directory.moves.journal(moveId);
    const { state } = readEnd(directory.moves, moveId);
    return {
      ...this.#view(move),
      doing: doingOf(state),
      round: roundOf(state),
      reason: reasonOf(state),
      warnings: warningsOf(state),
      ...filesOf(moveId),
      journal: journal.map((entry) => toLine(entry, move)),
    };
  }

  pause(moveId: string, { who }: Author): Promise<OrderResult> {
    return this.#order(moveId, { kind: "paused", who });
  }

  resume(moveId: string, { who }: Author): Promise<OrderResult> {
    return this.#order(moveId, { kind: "resumed", who });
  }

  cancel(moveId: string, { who }: Author): Promise<OrderResult> {
    return this.#order(moveId, { kind: "cancelled", who });
  }

  async retry(moveId: string, { who }: Author): Promise<OrderResult> {
    const { directory, residence } = this.#parts;
    const move = directory.moves.find(moveId);
    const place = move && !move.isActive ? await residence(move.user) : undefined;
    if (move !== undefined && place?.kind === "lives" && place.backend !== move.from)
      return { kind: "refused", why: `${move.user} lives in ${place.backend} by now, not in ${move.from}` };
    return this.#order(moveId, { kind: "retried", who });
  }

  activeMove(user: string): MoveView | undefined {
    const move = this.#parts.directory.moves.findActive(user);
    return move && toView(move);
  }

  isLocked(user: string): boolean {
    const move = this.#parts.directory.moves.findActive(user);
    return move !== undefined && isLockedPhase(move.state);
  }

  async batch(batchId: string): Promise<BatchSummary | undefined> {
    const summary = await this.#batches.find(batchId);
    const failedPath = this.#parts.failedPathOf(batchId);
    return summary === undefined || failedPath === undefined ? summary : { ...summary, failedPath };
  }

  onEvent(listener: (event: MoveServiceEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  interrupt(reason: string): void {
    for (const run of this.#runs.values()) void run.dispatch({ kind: "interrupted", reason });
  }

  /** More may begin than before: the options were read anew. */
  onOptionsChanged(): void {
    this.#startNext();
  }

  async close(timeoutMs: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.interrupt("the daemon was stopped");
    // A pre-sync begins again after the next start, and an outside table may take its time to tell.
    const isLeft = ({ state }: MoveRun): boolean => state.phase === "pre-sync" || state.phase === "paused";
    const left = [...this.#runs.values()].filter(isLeft).map(async (run) => {
      await run.stop();
      this.#drop(run);
    });
    const quiet = new Promise<void>((resolve) => (this.#onQuiet = resolve));
    if (this.#runs.size === 0) this.#onQuiet?.();
    let end = (): void => undefined;
    const timeout = new Promise<void>((resolve) => (end = resolve));
    const timer = this.#parts.clock.after(timeoutMs, () => end());
    await Promise.race([Promise.all([...left, quiet]), timeout]);
    timer.cancel();
    for (const run of this.#runs.values()) void run.stop();
  }

  #recoverMove(move: Move): void {
    const waiting = { moveId: move.id, from: move.from, to: move.to };
    try {
      if (move.state === "planned") return this.#queue.add(waiting);
      const run = this.#open(move);
      if (isAtRest(run.state)) return this.#drop(run);
      this.#queue.occupy(waiting);
      void run.dispatch({ kind: "restarted", atMs: this.#parts.clock.wallMs() });
      const hold = this.#parts.directory.findHolds(move.user).find(({ owner }) => owner === `move:${move.id}`);
      if (hold !== undefined) run.watchDeadline(hold.deadlineMs);
    } catch (error) {
      this.#alarm(move.id, move.user, `this move cannot go on: ${String(error)}`);
    }
  }

  #startNext(): void {
    while (!this.#isClosing) {
      const next = this.#queue.take(this.#parts.limits());
      if (next === undefined) return;
      void this.#begin(next.moveId);
    }
  }

  async #begin(moveId: string): Promise<void> {
    try {
      const run = this.#find(moveId);
      if (run !== undefined && (await run.dispatch({ kind: "started" })).kind !== "refused") return;
    } catch (error) {
      this.#alarm(moveId, "", `this move cannot begin: ${String(error)}`);
    }
    this.#queue.free(moveId);
    if (!this.#isClosing) this.#startNext();
  }

  async #order(moveId: string, order: Order): Promise<OrderResult> {
    await this.#recovered;
    const run = this.#find(moveId);
    if (run === undefined) return { kind: "no-such-move" };
    const step = await run.dispatch(order);
    if (step.kind === "refused") return { kind: "refused", why: step.why };
    const move = this.#parts.directory.moves.find(moveId);
    return move === undefined ? { kind: "no-such-move" } : { kind: "done", move: toView(move) };
  }

  /** @throws DirectoryFailed, or Error where the journal cannot be read */
  #find(moveId: string): MoveRun | undefined {
    const known = this.#runs.get(moveId);
    if (known !== undefined) return known;
    const move = this.#parts.directory.moves.find(moveId);
    return move && this.#open(move);
  }

  #open(move: Move): MoveRun {
    const end = readEnd(this.#parts.directory.moves, move.id);
    const run = new MoveRun(toSubject(move), end, this.#parts, {
      onState: (run, event) => this.#onState(run, move, event),
      onIdle: (run) => {
        if (isAtRest(run.state)) this.#drop(run);
      },
      onAlarm: ({ subject }, text) => this.#alarm(subject.moveId, subject.user, text),
    });
    this.#runs.set(move.id, run);
    return run;
  }

  #drop(run: MoveRun): void {
    if (this.#runs.get(run.subject.moveId) !== run) return;
    this.#runs.delete(run.subject.moveId);
    if (this.#runs.size === 0) this.#onQuiet?.();
  }

  #onState(run: MoveRun, move: Move, event: MoveEvent): void {
    const { state } = run;
    const { phase } = state;
    const { moveId, user, from, to } = run.subject;
    const { commands, checks, clock, say } = this.#parts;
    const isActive = isActivePhase(phase);
    this.#troubles.delete(moveId);
    if (event.kind === "resumed" || event.kind === "retried") this.#queue.add({ moveId, from, to });
    else if (event.kind === "paused" || event.kind === "cancelled") this.#queue.remove(moveId);
    if (!isActive) {
      checks.forget(moveId);
      void commands.forget(moveId).catch((error: unknown) => say("warning", `move ${moveId}: ${String(error)}`));
    }
    if (isAtRest(state)) this.#queue.free(moveId);
    const summary = this.#batches.note(moveId, user, phase);
    this.#tell(toView({ ...move, state: phase, isActive, changedMs: clock.wallMs() }), state);
    if (!isActive) say(phase === "done" || phase === "rehearsed" ? "info" : "warning", describeEnd(run));
    if (summary !== undefined) this.#emit({ kind: "batch-ended", summary });
    this.#startNext();
  }

  #tell(move: MoveView, state: MoveState): void {
    const [doing, round, reason] = [doingOf(state), roundOf(state), reasonOf(state)];
    this.#emit({ kind: "moved-on", move, doing, round, reason });
  }

  #view(move: Move): MoveView {
    const trouble = this.#troubles.get(move.id);
    return { ...toView(move), ...(trouble === undefined ? {} : { trouble }) };
  }

  #alarm(moveId: string, user: string, text: string): void {
    this.#troubles.set(moveId, text);
    this.#parts.say("error", `move ${moveId}${user === "" ? "" : ` of ${user}`}: ${text}`);
    this.#emit({ kind: "alarm", moveId, user, text });
  }

  #emit(event: MoveServiceEvent): void {
    for (const listener of this.#listeners)
      try {
        listener(event);
      } catch (error) {
        this.#parts.say("error", `an event of moves: ${String(error)}`);
      }
  }
}

function describeEnd({ subject, state }: MoveRun): string {
  const { moveId, user, from, to } = subject;
  const what = `move ${moveId} of ${user} from ${from} to ${to}: ${state.phase}`;
  return [[what, reasonOf(state)].filter((text) => text !== undefined).join(", "), ...warningsOf(state)].join("; ");
}
