import type { Clock, Timer } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { Author, Directory, Hold, Release, ReleaseResult } from "../directory/directory.ts";
import type { DrainOptions, HoldOptions } from "./options.ts";

/** A delivery that a drain waits or waited for, as operators read it. */
export interface AwaitedDelivery {
  readonly user: string;
  readonly session: string;
  readonly backend: string | undefined;
  readonly stage: string;
  /** On the monotonic clock, in ms. */
  readonly sinceMs: number;
}

/** The deliveries under way, in every process. */
export interface DeliveriesUnderWay {
  drain(
    user: string,
    options: { readonly graceMs: number; readonly timeoutMs: number },
    clock: Clock,
  ): Promise<{ readonly found: number; readonly cut: number; readonly left: readonly AwaitedDelivery[] }>;
}

export type DrainOutcome =
  | {
      readonly kind: "drained";
      /** How many deliveries were waited for, and how many of them were cut. */
      readonly waitedFor: number;
      readonly cut: number;
      /** How long for a delivery whose end is unknown, in ms; 0: there was none. */
      readonly settledMs: number;
    }
  | { readonly kind: "under-way"; readonly left: readonly AwaitedDelivery[] }
  /** Until then a store may still be finishing what it was sent. */
  | { readonly kind: "uncertain"; readonly untilMs: number; readonly why: string }
  /** The hold ended or was made anew while it was waited for: mail may have gone to the store meanwhile. */
  | { readonly kind: "not-held"; readonly why: string };

export interface Held {
  readonly hold: Hold;
  readonly outcome: DrainOutcome;
}

export interface HoldRequest {
  readonly user: string;
  readonly owner: string;
  readonly reason: string;
  /** Default: by the options. */
  readonly deadlineMs?: number | undefined;
}

export interface HoldKeeperParts {
  readonly directory: Directory;
  readonly deliveries: DeliveriesUnderWay;
  readonly options: () => { readonly hold: HoldOptions; readonly drain: DrainOptions };
  readonly clock: Clock;
  readonly say: (level: LogLevel, text: string) => void;
  /** The user's last hold is gone: whoever is parked may go on. */
  readonly onReleased: (user: string) => void;
}

/** How often expired holds are looked for, in ms. */
export const LOOK_EVERY_MS = 1_000;

/** How often uncertain deliveries that no drain waits for any more are forgotten, in ms. */
const FORGET_EVERY_MS = 3_600_000;

/** For how long they are kept at least, in ms: `settle` may be made longer. */
const KEEP_UNCERTAIN_MS = 86_400_000;

const EXPIRY: Author = { who: "mailshunt", why: "the deadline has passed" };

interface Settling {
  readonly untilMs: number;
  readonly why: string;
}

/** Pauses users and lets them go on: the one place that pairs a hold with its drain. */
export class HoldKeeper {
  readonly #parts: HoldKeeperParts;
  /** Uncertain deliveries that could not be written down, by user: until when. */
  readonly #unwritten = new Map<string, Settling>();
  /** The same for a worker's end. */
  #unwrittenEnd: Settling | undefined;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;
  #forgottenMs: number;
  /** What is wrong with the directory, since it was said. */
  #saidFault: string | undefined;

  constructor(parts: HoldKeeperParts) {
    this.#parts = parts;
    this.#forgottenMs = parts.clock.nowMs();
    this.#watch();
  }

  /**
   * Holds a user, then waits until nothing admitted before can reach a store any more. From its return with `drained`
   * until the release no byte of the user's mail goes to a store.
   * @throws DirectoryFailed
   */
  async hold(request: HoldRequest, author: Author): Promise<Held> {
    const { directory, clock, options } = this.#parts;
    const deadlineMs = request.deadlineMs ?? clock.wallMs() + options().hold.deadlineMs;
    const hold = await directory.holds.place({ ...request, deadlineMs }, author);
    const outcome = await this.drain(request.user);
    const why = outcome.kind === "drained" ? this.#describeChange(hold) : undefined;
    return { hold, outcome: why === undefined ? outcome : { kind: "not-held", why } };
  }

  /** @returns why nothing is proven by a drain during this hold; undefined: it has not changed since */
  #describeChange({ user, owner, generation }: Hold): string | undefined {
    const { directory, clock } = this.#parts;
    const found = directory.findHolds(user).find((hold) => hold.owner === owner);
    if (found === undefined) return "it was released, or its deadline passed";
    if (found.generation !== generation) return "it was made anew, and its own drain counts";
    return found.deadlineMs <= clock.wallMs() ? "its deadline has passed" : undefined;
  }

  /** Waits for a user who is held. @throws DirectoryFailed */
  async drain(user: string): Promise<DrainOutcome> {
    const { deliveries, clock, options } = this.#parts;
    const { graceMs, timeoutMs } = options().drain;
    const startMs = clock.nowMs();
    const { found, cut, left } = await deliveries.drain(user, { graceMs, timeoutMs }, clock);
    if (left.length > 0) return { kind: "under-way", left };
    for (let settledMs = 0; ;) {
      // Anew after each wait: what a worker had sent may have become uncertain meanwhile.
      const settling = this.#uncertainUntil(user);
      if (settling === undefined) return { kind: "drained", waitedFor: found, cut, settledMs };
      const waitMs = settling.untilMs - clock.wallMs();
      if (clock.nowMs() - startMs + waitMs > timeoutMs) return { kind: "uncertain", ...settling };
      await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
      settledMs += waitMs;
    }
  }

  /** @throws DirectoryFailed */
  async release(user: string, owner: string, author: Author): Promise<ReleaseResult> {
    return this.#release({ user, owner }, author);
  }

  /** The store may hold, or may yet take, what this delivery sent. Resolves when it is written down; never rejects. */
  async onUncertain(delivery: AwaitedDelivery): Promise<void> {
    const { directory, clock, say, options } = this.#parts;
    const { user, session, backend = "none" } = delivery;
    const atMs = clock.wallMs();
    try {
      await directory.uncertain.add({ user, backend, session, atMs });
    } catch (error) {
      const { settleMs } = options().drain;
      this.#unwritten.set(user, { untilMs: atMs + settleMs, why: unanswered(backend) });
      say(
        "error",
        `uncertain delivery for ${user} to ${backend} (session ${session}) could not be written down, and is remembered ` +
          `only until this daemon ends: ${reasonOf(error)}`,
      );
    }
  }

  /** A worker has died: what it had sent, for whomever, may still arrive. As `onUncertain`. */
  async onWorkerDied(why: string): Promise<void> {
    const { directory, clock, say, options } = this.#parts;
    const atMs = clock.wallMs();
    try {
      await directory.uncertain.addEveryone(atMs, why);
    } catch (error) {
      this.#unwrittenEnd = { untilMs: atMs + options().drain.settleMs, why };
      say("error", `that a worker has died is remembered only until this daemon ends: ${reasonOf(error)}`);
    }
  }

  /** Resolves when it touches the directory no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #uncertainUntil(user: string): Settling | undefined {
    const { directory, clock, options } = this.#parts;
    const latest = directory.uncertain.latest(user);
    const written =
      latest === undefined
        ? undefined
        : {
            untilMs: latest.atMs + options().drain.settleMs,
            why: latest.kind === "everyone" ? latest.why : unanswered(latest.backend),
          };
    const known = [written, this.#unwritten.get(user), this.#unwrittenEnd].filter((each) => each !== undefined);
    const latestEnd = known.sort((a, b) => b.untilMs - a.untilMs)[0];
    return latestEnd === undefined || latestEnd.untilMs <= clock.wallMs() ? undefined : latestEnd;
  }

  async #release(release: Release, author: Author): Promise<ReleaseResult> {
    const result = await this.#parts.directory.holds.release(release, author);
    if (result.kind === "released" && !result.isStillHeld) this.#parts.onReleased(release.user);
    return result;
  }

  #watch(): void {
    this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, () => {
      this.#looking = this.#look().finally(() => {
        if (!this.#isClosed) this.#watch();
      });
    });
  }

  /** Never rejects. What is wrong for hours is said once. */
  async #look(): Promise<void> {
    try {
      await this.#releaseExpired();
      await this.#forgetSettled();
      this.#saidFault = undefined;
    } catch (error) {
      const fault = reasonOf(error);
      if (fault === this.#saidFault || this.#isClosed) return;
      this.#saidFault = fault;
      this.#parts.say("error", `expired holds cannot be released, and are tried again each second: ${fault}`);
    }
  }

  /** The holds of moves are left to them: they know whether their user has been switched already. */
  async #releaseExpired(): Promise<void> {
    const { directory, clock, say } = this.#parts;
    for (const { user, owner, generation, reason } of directory.holds.expired(clock.wallMs())) {
      if (this.#isClosed) return;
      const result = await this.#release({ user, owner, generation }, EXPIRY);
      if (result.kind !== "released") continue;
      const why = reason === "" ? "" : ` (${reason})`;
      const end = result.isStillHeld ? "it ended, but another holds the user" : "released to where the user was";
      say("warning", `the hold of ${user} by ${owner}${why} has passed its deadline: ${end}`);
    }
  }

  async #forgetSettled(): Promise<void> {
    const { directory, clock, options } = this.#parts;
    const nowMs = clock.wallMs();
    for (const [user, { untilMs }] of this.#unwritten) if (untilMs <= nowMs) this.#unwritten.delete(user);
    if (clock.nowMs() - this.#forgottenMs < FORGET_EVERY_MS) return;
    this.#forgottenMs = clock.nowMs();
    await directory.uncertain.forget(nowMs - Math.max(KEEP_UNCERTAIN_MS, 2 * options().drain.settleMs));
  }
}

const unanswered = (backend: string): string => `a delivery to ${backend} had no answer`;

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
