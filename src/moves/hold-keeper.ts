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

const UNCLEAN = "the daemon ended without closing the directory";

const EXPIRY: Author = { who: "mailshunt", why: "the deadline has passed" };

interface Settling {
  readonly untilMs: number;
  readonly why: string;
}

interface Happened {
  /** On the monotonic clock, in ms. */
  readonly atMs: number;
  readonly why: string;
}

/** Pauses users and lets them go on: the one place that pairs a hold with its drain. */
export class HoldKeeper {
  readonly #parts: HoldKeeperParts;
  /**
   * The last uncertain delivery of a user in this process, by the monotonic clock: the wall clock may be set, and what could
   * not be written down stands here alone.
   */
  readonly #lately = new Map<string, Happened>();
  /** When everyone became uncertain in this process, by the same clock. */
  #everyone: Happened | undefined;
  /** When this daemon began, on the monotonic clock in ms. */
  readonly #startedMs: number;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;
  #forgottenMs: number;
  /** What is wrong with the directory, since it was said. */
  #saidFault: string | undefined;

  constructor(parts: HoldKeeperParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.nowMs();
    if (parts.directory.startedUnclean) this.#everyone = { atMs: this.#startedMs, why: UNCLEAN };
    this.#forgottenMs = this.#startedMs;
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
  #describeChange({ user, owner, sinceMs }: Hold): string | undefined {
    const { directory, clock } = this.#parts;
    const found = directory.findHolds(user).find((hold) => hold.owner === owner);
    if (found === undefined) return "it was released, or its deadline passed";
    // One that was placed again meanwhile, as to extend it, goes on.
    if (found.sinceMs !== sinceMs) return "it was released and made anew, and its own drain counts";
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
    const { directory, clock, say } = this.#parts;
    const { user, session, backend = "none" } = delivery;
    // The newest are the last.
    this.#lately.delete(user);
    this.#lately.set(user, { atMs: clock.nowMs(), why: unanswered(backend) });
    try {
      await directory.uncertain.add({ user, backend, session, atMs: clock.wallMs() });
    } catch (error) {
      say(
        "error",
        `uncertain delivery for ${user} to ${backend} (session ${session}) could not be written down, and is remembered ` +
          `only until this daemon ends: ${reasonOf(error)}`,
      );
    }
  }

  /** What a process had sent is not known any more. To be called in the turn in which that is known. @throws DirectoryFailed */
  async onEveryoneUncertain(why: string): Promise<void> {
    const { directory, clock } = this.#parts;
    this.#everyone = { atMs: clock.nowMs(), why };
    await directory.uncertain.addEveryone(clock.wallMs(), why);
  }

  /** Resolves when it touches the directory no more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #uncertainUntil(user: string): Settling | undefined {
    const { clock } = this.#parts;
    const known = [this.#lately.get(user), this.#everyone].filter((one) => one !== undefined);
    const left = known.map(({ atMs, why }) => ({ leftMs: this.#leftOf(atMs), why }));
    const longest = [this.#writtenLeft(user), ...left].reduce((a, b) => (b.leftMs > a.leftMs ? b : a));
    return longest.leftMs <= 0 ? undefined : { untilMs: clock.wallMs() + longest.leftMs, why: longest.why };
  }

  /** How long something still has to settle. @param atMs on the monotonic clock */
  #leftOf(atMs: number): number {
    const { clock, options } = this.#parts;
    return atMs + options().drain.settleMs - clock.nowMs();
  }

  /** Of what the directory keeps, which is all that is known of daemons before this one. */
  #writtenLeft(user: string): { readonly leftMs: number; readonly why: string } {
    const { directory, clock, options } = this.#parts;
    const latest = directory.uncertain.latest(user);
    if (latest === undefined) return { leftMs: 0, why: "" };
    const why = latest.kind === "everyone" ? latest.why : unanswered(latest.backend);
    const ageMs = clock.wallMs() - latest.atMs;
    // Yet to come: the clock was set back since a daemon before us wrote it, or this one, which has it in `#lately`.
    return { leftMs: ageMs < 0 ? this.#leftOf(this.#startedMs) : options().drain.settleMs - ageMs, why };
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
    for (const [user, { atMs }] of this.#lately) {
      if (this.#leftOf(atMs) > 0) break;
      this.#lately.delete(user);
    }
    if (clock.nowMs() - this.#forgottenMs < FORGET_EVERY_MS) return;
    this.#forgottenMs = clock.nowMs();
    await directory.uncertain.forget(clock.wallMs() - Math.max(KEEP_UNCERTAIN_MS, 2 * options().drain.settleMs));
  }
}

const unanswered = (backend: string): string => `a delivery to ${backend} had no answer`;

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
