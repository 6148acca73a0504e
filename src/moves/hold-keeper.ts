import type { Clock, Timer } from "../core/clock.ts";
import type { LogLevel } from "../core/log.ts";
import type { Author, Directory, Hold, ReleaseResult } from "../directory/directory.ts";
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
  | { readonly kind: "uncertain"; readonly untilMs: number; readonly why: string };

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
const LOOK_EVERY_MS = 1_000;

const EXPIRY: Author = { who: "mailshunt", why: "the deadline has passed" };

/** Pauses users and lets them go on: the one place that pairs a hold with its drain. */
export class HoldKeeper {
  readonly #parts: HoldKeeperParts;
  /** Uncertain deliveries that could not be written down, by user: until when. */
  readonly #unwritten = new Map<string, number>();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(parts: HoldKeeperParts) {
    this.#parts = parts;
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
    return { hold, outcome: await this.drain(request.user) };
  }

  /** Waits for a user who is held. */
  async drain(user: string): Promise<DrainOutcome> {
    const { deliveries, clock, options } = this.#parts;
    const { graceMs, timeoutMs } = options().drain;
    const startMs = clock.nowMs();
    const { found, cut, left } = await deliveries.drain(user, { graceMs, timeoutMs }, clock);
    if (left.length > 0) return { kind: "under-way", left };
    const settling = this.#uncertainUntil(user);
    if (settling === undefined) return { kind: "drained", waitedFor: found, cut, settledMs: 0 };
    const waitMs = settling.untilMs - clock.wallMs();
    if (clock.nowMs() - startMs + waitMs > timeoutMs) return { kind: "uncertain", ...settling };
    await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
    return { kind: "drained", waitedFor: found, cut, settledMs: waitMs };
  }

  /** @throws DirectoryFailed */
  async release(user: string, owner: string, author: Author): Promise<ReleaseResult> {
    return this.#release({ user, owner }, author);
  }

  /** The store may hold, or may yet take, what this delivery sent. Resolves when it is written down; never rejects. */
  async onUncertain(delivery: AwaitedDelivery): Promise<void> {
    const { directory, clock, say, options } = this.#parts;
    const { user, session, backend = "none" } = delivery;
    try {
      await directory.uncertain.add({ user, backend, session, atMs: clock.wallMs() });
    } catch (error) {
      this.#unwritten.set(user, clock.wallMs() + options().drain.settleMs);
      say("error", `uncertain delivery for ${user} could not be written down: ${String(error)}`);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #uncertainUntil(user: string): { readonly untilMs: number; readonly why: string } | undefined {
    const { directory, clock, options } = this.#parts;
    const { settleMs } = options().drain;
    const latest = directory.uncertain.latest(user);
    const unwrittenMs = this.#unwritten.get(user) ?? 0;
    const untilMs = Math.max(latest === undefined ? 0 : latest.atMs + settleMs, unwrittenMs);
    if (untilMs <= clock.wallMs()) return undefined;
    const why =
      latest?.kind === "everyone"
        ? latest.why
        : `a delivery to ${latest?.kind === "delivery" ? latest.backend : "a store"} had no answer`;
    return { untilMs, why };
  }

  async #release(release: Parameters<Directory["holds"]["release"]>[0], author: Author): Promise<ReleaseResult> {
    const result = await this.#parts.directory.holds.release(release, author);
    if (result.kind === "released" && !result.isStillHeld) this.#parts.onReleased(release.user);
    return result;
  }

  #watch(): void {
    this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, () => {
      void this.#releaseExpired().finally(() => {
        if (!this.#isClosed) this.#watch();
      });
    });
  }

  /** The holds of moves are left to them: they know whether their user has been switched already. */
  async #releaseExpired(): Promise<void> {
    const { directory, clock, say } = this.#parts;
    try {
      for (const { user, owner, generation, reason } of directory.holds.expired(clock.wallMs())) {
        const result = await this.#release({ user, owner, generation }, EXPIRY);
        if (result.kind === "released")
          say(
            "warning",
            `the hold of ${user} by ${owner} (${reason}) has passed its deadline: released to where the user was`,
          );
      }
    } catch (error) {
      say("error", `expired holds could not be released: ${String(error)}`);
    }
  }
}
