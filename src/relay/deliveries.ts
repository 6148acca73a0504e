import type { Clock } from "../core/clock.ts";

/** `asking`: its route or the store's answer to RCPT is awaited. `message`: its message is. `dot`: the store's last word is. */
export type DeliveryStage = "asking" | "message" | "dot";

/** One recipient's way to a store, from before its user's hold is read until nothing of it can reach a store any more. */
export interface Delivery {
  /** User key. */
  readonly user: string;
  /** Id of the client's session. */
  readonly session: string;
  /** On the monotonic clock, in ms. */
  readonly sinceMs: number;
  /** Undefined until it is routed. */
  readonly backend: string | undefined;
  readonly stage: DeliveryStage;
  /** A drain waits for it now, so that what belongs to it must not wait for another drain. */
  onAwaited(): void;
  /** Ends it before its final dot, so that the store gets nothing of it and its sender tries again. Later it does nothing. */
  cut(reason: string): void;
}

export interface DrainOptions {
  /** How long those before their final dot may take before they are cut, in ms. */
  readonly graceMs: number;
  /** How long to wait for all, in ms. */
  readonly timeoutMs: number;
}

export interface DrainResult {
  /** How many were under way when the drain began. */
  readonly found: number;
  /** How many of them were cut. */
  readonly cut: number;
  /** Those still under way when the time was over; empty when it is drained. */
  readonly left: readonly Delivery[];
}

interface Drain {
  readonly left: Set<Delivery>;
  readonly onEmpty: () => void;
}

/** All deliveries of this process, by user. */
export class Deliveries {
  readonly #byUser = new Map<string, Set<Delivery>>();
  readonly #drains = new Set<Drain>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** To be called before the user's hold is read, in the same turn: whoever holds the user then waits for this one. */
  add(delivery: Delivery): void {
    const same = this.#byUser.get(delivery.user);
    if (same === undefined) this.#byUser.set(delivery.user, new Set([delivery]));
    else same.add(delivery);
    this.#count += 1;
  }

  remove(delivery: Delivery): void {
    const same = this.#byUser.get(delivery.user);
    if (same?.delete(delivery) !== true) return;
    this.#count -= 1;
    if (same.size === 0) this.#byUser.delete(delivery.user);
    for (const drain of this.#drains) if (drain.left.delete(delivery) && drain.left.size === 0) drain.onEmpty();
  }

  of(user: string): readonly Delivery[] {
    return [...(this.#byUser.get(user) ?? [])];
  }

  *all(): IterableIterator<Delivery> {
    for (const same of this.#byUser.values()) yield* same;
  }

  /** Waits for those that are under way now. To be called when no more can be admitted: once the user is held. */
  drain(user: string, { graceMs, timeoutMs }: DrainOptions, clock: Clock): Promise<DrainResult> {
    const left = new Set(this.#byUser.get(user));
    const found = left.size;
    let cut = 0;
    if (found === 0) return Promise.resolve({ found, cut, left: [] });
    return new Promise((resolve) => {
      const grace = clock.after(graceMs, () => {
        for (const delivery of [...left])
          if (delivery.stage !== "dot") {
            cut += 1;
            delivery.cut("the user's mailbox is about to move");
          }
      });
      const timeout = clock.after(timeoutMs, () => end());
      const drain: Drain = { left, onEmpty: () => end() };
      const end = (): void => {
        grace.cancel();
        timeout.cancel();
        this.#drains.delete(drain);
        resolve({ found, cut, left: [...left] });
      };
      this.#drains.add(drain);
      for (const delivery of [...left]) delivery.onAwaited();
    });
  }
}
