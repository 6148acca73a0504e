import type { Clock, Timer } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { Asked, LeftDelivery, WorkerStart } from "./messages.ts";
import { Roster } from "./roster.ts";
import { Shares } from "./shares.ts";
import { WorkerProcess, WorkerRefused } from "./worker-process.ts";

/** What all workers serve by. */
export interface WorkersConfiguration {
  /** Of the configuration file. */
  readonly contents: Uint8Array;
  /** Descriptors of listeners, by address as configured. The same array is the same listener. */
  readonly listeners: ReadonlyMap<string, readonly number[]>;
  /** What holds for all workers together, by key. */
  readonly quotas: ReadonlyMap<string, number>;
}

export interface WorkerSetParts {
  readonly count: number;
  /** The entry of a worker's process. */
  readonly file: string;
  readonly program: string;
  readonly start: Pick<WorkerStart, "version" | "isBackground" | "loopToken" | "path">;
  readonly disabledBackends: ReadonlySet<string>;
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
  /** Writes it down. Until it resolves the delivery counts as under way. Never rejects. */
  readonly onUncertain: (delivery: LeftDelivery) => Promise<void>;
  /** One has written a table: the others shall know. Never rejects. */
  readonly onWritten: (table: string, keys: readonly string[]) => Promise<void>;
  /** A worker has died. Until it resolves, drains wait for that worker: what it had sent is not known. Never rejects. */
  readonly onCrashed: (why: string) => Promise<void>;
}

export interface PreparedWorkers {
  /** @returns when no delivery goes by an older configuration any more */
  commit(): Promise<void>;
  abort(): void;
}

/**
 * A worker that lived no longer is not replaced at once, in ms. The delay doubles each time; several that die together are
 * one time.
 */
const SHORT_LIFE_MS = 10_000;
const FIRST_DELAY_MS = 1_000;
const LAST_DELAY_MS = 30_000;

/** What a worker has beyond the time that a stop may take, in ms, before it counts as stuck. */
const SLACK_MS = 2_000;

/** How often workers are asked whether they still run, in ms. */
const PING_EVERY_MS = 10_000;

/** A worker that did not answer for so long is killed, in ms: reloads, moves and its clients wait for it. */
const HUNG_AFTER_MS = 60_000;

/** For clients of a worker that retired before the one that retires now, in ms. */
const RETIRED_LIMIT_MS = 60_000;

/** The longest that a timer can be, in ms. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** The processes that serve clients, as the primary has them. */
export class WorkerSet {
  readonly roster: Roster;
  readonly #parts: WorkerSetParts;
  readonly #shares = new Shares();
  #configuration: WorkersConfiguration | undefined;
  #isPreparing = false;
  #isStopping = false;
  /** How many have died and are not replaced. */
  #missing = 0;
  #delayMs = 0;
  #timer: Timer | undefined;
  #onEmpty: (() => void) | undefined;
  /** Nothing else may keep the process alive between one worker's end and the start of the next. */
  readonly #keepAlive = setInterval(() => undefined, FOR_EVER_MS);

  constructor(parts: WorkerSetParts) {
    this.#parts = parts;
    this.roster = new Roster(parts.clock);
  }

  get pids(): readonly number[] {
    return this.roster.all.map(({ pid }) => pid);
  }

  /** Starts them; they serve after `open`. @throws WorkerRefused; then none is left */
  async start(configuration: WorkersConfiguration): Promise<void> {
    this.#configuration = configuration;
    try {
      await this.#launch(configuration);
    } catch (error) {
      clearInterval(this.#keepAlive);
      throw error;
    }
  }

  open(): void {
    this.#open(this.roster.all);
    this.#watch();
  }

  /** Nobody serves by it before `commit`. @throws WorkerRefused; then nothing has changed */
  async prepare(next: WorkersConfiguration): Promise<PreparedWorkers> {
    const { contents, listeners } = next;
    const present = this.roster.serving;
    // A process takes descriptors only at its start.
    const isOpening = [...listeners].some(([address, fds]) => this.#configuration?.listeners.get(address) !== fds);
    let launched: readonly WorkerProcess[] = [];
    this.#isPreparing = true;
    this.#shares.configure(next.quotas);
    const abort = (): void => {
      this.#isPreparing = false;
      for (const each of present) each.tell({ kind: "abort" });
      for (const each of launched) dismiss(each);
      this.#replaceMissing();
    };
    try {
      const leasesOf = (each: WorkerProcess): Asked<"prepare">["leases"] => this.#shares.allot(each, this.#parts.count);
      const answers = await Promise.all(
        present.map((each) => this.roster.ask(each, "prepare", { contents, leases: leasesOf(each) })),
      );
      const reasons = answers.flatMap((answer) => answer?.reasons ?? []);
      if (reasons.length > 0) throw new WorkerRefused([...new Set(reasons)]);
      if (isOpening) launched = await this.#launch(next);
    } catch (error) {
      abort();
      throw error;
    }
    const commit = async (): Promise<void> => {
      this.#isPreparing = false;
      this.#configuration = next;
      const drained = present.map((each) => this.roster.ask(each, "commit", {}));
      if (isOpening) this.#succeed(present, launched);
      this.#replaceMissing();
      await Promise.all(drained);
    };
    return { commit, abort };
  }

  /** Lets them finish; those that do not are killed. */
  async stop(limitMs: number): Promise<void> {
    this.#isStopping = true;
    this.#timer?.cancel();
    for (const each of this.roster.all) each.state = "leaving";
    this.roster.tellAll({ kind: "stop", limitMs });
    const timer = this.#parts.clock.after(limitMs + SLACK_MS, () => this.kill());
    if (this.roster.all.length > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
    timer.cancel();
    clearInterval(this.#keepAlive);
  }

  kill(): void {
    for (const each of this.roster.all) each.kill();
  }

  async #launch(configuration: WorkersConfiguration): Promise<readonly WorkerProcess[]> {
    this.#shares.configure(configuration.quotas);
    const launched = Array.from({ length: this.#parts.count }, () => this.#spawn(configuration));
    try {
      await Promise.all(launched.map(({ ready }) => ready));
    } catch (error) {
      for (const each of launched) dismiss(each);
      throw error;
    }
    return launched;
  }

  #spawn({ contents, listeners }: WorkersConfiguration): WorkerProcess {
    const { file, program, start, clock, disabledBackends, count } = this.#parts;
    const ended = Promise.withResolvers<void>();
    const worker: WorkerProcess = new WorkerProcess({
      file,
      program,
      listeners: [...listeners].map(([address, fds]) => ({ address, fds })),
      isBackground: start.isBackground,
      clock,
      onMessage: (message) => this.#on(message, worker),
      onEnded: (how) => void this.#onEnded(worker, how).then(ended.resolve),
    });
    this.roster.add(worker, ended.promise);
    const leases = this.#shares.allot(worker, count);
    worker.start({ ...start, workerCount: count, contents, disabledBackends: [...disabledBackends], leases });
    return worker;
  }

  /** Those who can listen where the configuration says take the places of the others, whose clients stay. */
  #succeed(others: readonly WorkerProcess[], launched: readonly WorkerProcess[]): void {
    this.#open(launched);
    for (const each of others) {
      each.tell(each.state === "leaving" ? { kind: "stop", limitMs: RETIRED_LIMIT_MS } : { kind: "retire" });
      each.state = "leaving";
    }
  }

  #watch(): void {
    const { clock, say } = this.#parts;
    for (const each of this.roster.serving) {
      const hung = clock.after(HUNG_AFTER_MS, () => {
        say("error", `worker ${each.pid} has not answered for ${HUNG_AFTER_MS / 1000} s: killing it`);
        each.kill();
      });
      void this.roster.ask(each, "ping", {}).then(() => hung.cancel());
    }
    if (!this.#isStopping) clock.after(PING_EVERY_MS, () => this.#watch());
  }

  #open(launched: readonly WorkerProcess[]): void {
    for (const each of launched) {
      each.state = "serving";
      each.tell({ kind: "open" });
      // It was ready, and has ended since.
      if (!this.roster.has(each)) this.#missing += 1;
    }
    this.#replaceMissing();
  }

  #on(
    message: Parameters<ConstructorParameters<typeof WorkerProcess>[0]["onMessage"]>[0],
    worker: WorkerProcess,
  ): void {
    switch (message.kind) {
      case "uncertain":
        return void this.#parts.onUncertain(message.delivery).then(() => worker.noted(message.request));
      case "written":
        return void this.#parts.onWritten(message.table, message.keys).then(() => worker.noted(message.request));
      case "want":
        return this.#shares.want(worker, message.key, message.isPatient);
      case "given":
        return this.#shares.given(worker, message.key, message.count);
      case "kept":
        return this.#shares.kept(worker, message.key);
    }
  }

  async #onEnded(worker: WorkerProcess, how: string): Promise<void> {
    const { clock, say, onCrashed } = this.#parts;
    const { state, pid } = worker;
    if (state !== "launching" && how !== "code 0") {
      this.roster.noteCrash();
      say("error", `worker ${pid} has ended (${how}): its clients are disconnected, and try again`);
      await onCrashed(`worker ${pid} has ended (${how})`);
    }
    this.#shares.remove(worker);
    this.roster.remove(worker);
    if (worker.state === "serving" && !this.#isStopping) {
      const hasLivedMs = clock.nowMs() - worker.startedMs;
      if (hasLivedMs >= SHORT_LIFE_MS) this.#delayMs = 0;
      else if (this.#missing === 0) this.#delayMs = clamp(2 * this.#delayMs);
      this.#missing += 1;
      this.#replaceMissing();
    }
    if (this.roster.all.length === 0) this.#onEmpty?.();
  }

  #replaceMissing(): void {
    const { clock } = this.#parts;
    if (this.#missing === 0 || this.#isPreparing || this.#isStopping) return;
    this.#timer?.cancel();
    this.#timer = clock.after(this.#delayMs, () => {
      const configuration = this.#configuration;
      if (this.#isPreparing || this.#isStopping || configuration === undefined) return;
      for (; this.#missing > 0; this.#missing -= 1) void this.#replace(configuration);
    });
  }

  async #replace(configuration: WorkersConfiguration): Promise<void> {
    const { say } = this.#parts;
    const worker = this.#spawn(configuration);
    try {
      await worker.ready;
    } catch (error) {
      dismiss(worker);
      say(
        "error",
        `a worker that died cannot be replaced yet: ${error instanceof Error ? error.message : String(error)}`,
      );
      if (this.#missing === 0) this.#delayMs = clamp(2 * this.#delayMs);
      this.#missing += 1;
      return this.#replaceMissing();
    }
    // A reload that came meanwhile has not asked this one.
    if (this.#configuration === configuration && !this.#isPreparing && !this.#isStopping) {
      say("notice", `worker ${worker.pid} serves in place of the one that ended`);
      return this.#open([worker]);
    }
    dismiss(worker);
    this.#missing += 1;
    this.#replaceMissing();
  }
}

const clamp = (delayMs: number): number => Math.min(LAST_DELAY_MS, Math.max(FIRST_DELAY_MS, delayMs));

/** It has served nobody. */
function dismiss(worker: WorkerProcess): void {
  if (worker.state === "launching") worker.kill();
}
