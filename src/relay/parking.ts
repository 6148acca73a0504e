import type { Clock } from "../core/clock.ts";

export interface ParkingOptions {
  /** How long the recipients of one transaction may wait for the end of holds, in ms; 0: not at all. */
  readonly parkMs: number;
  /** How many may wait at once, per client address. */
  readonly maxParked: number;
}

/** Why waiting is over. `ended`: somebody else would wait for it, the time is over, or we stop. */
export type ParkingEnd = "released" | "ended";

interface Parked {
  readonly user: string;
  readonly onEnd: (end: ParkingEnd) => void;
}

/**
 * Recipients that wait before their RCPT is answered until their user is released, so that a move of seconds defers no
 * mail. Each keeps one of the connections that its client opens to us.
 */
export class Parking {
  readonly clock: Clock;
  #options: ParkingOptions;
  readonly #byUser = new Map<string, Set<Parked>>();
  readonly #perClient = new Map<string, number>();
  #count = 0;
  #isClosed = false;

  constructor(options: ParkingOptions, clock: Clock) {
    this.#options = options;
    this.clock = clock;
  }

  get options(): ParkingOptions {
    return this.#options;
  }

  get count(): number {
    return this.#count;
  }

  configure(options: ParkingOptions): void {
    this.#options = options;
  }

  /**
   * @param client its address
   * @param onEnd called once, in a turn of its own or by `release`, unless what is returned is called before
   * @returns stops waiting, without a call; undefined where there is no room
   */
  park(user: string, client: string, onEnd: (end: ParkingEnd) => void): (() => void) | undefined {
    const parkedOfClient = this.#perClient.get(client) ?? 0;
    if (this.#isClosed || parkedOfClient >= this.#options.maxParked) return undefined;
    this.#perClient.set(client, parkedOfClient + 1);
    this.#count += 1;
    let isParked = true;
    const leave = (): void => {
      if (!isParked) return;
      isParked = false;
      this.#count -= 1;
      this.#leave(parked, client);
    };
    const parked: Parked = {
      user,
      onEnd(end) {
        leave();
        onEnd(end);
      },
    };
    const same = this.#byUser.get(user);
    if (same === undefined) this.#byUser.set(user, new Set([parked]));
    else same.add(parked);
    return leave;
  }

  /** The user's last hold is gone. */
  release(user: string): void {
    for (const parked of [...(this.#byUser.get(user) ?? [])]) parked.onEnd("released");
  }

  /** Nobody waits any more, and nobody begins to: we stop. */
  endAll(): void {
    this.#isClosed = true;
    for (const same of [...this.#byUser.values()]) for (const parked of [...same]) parked.onEnd("ended");
  }

  #leave(parked: Parked, client: string): void {
    const same = this.#byUser.get(parked.user);
    same?.delete(parked);
    if (same?.size === 0) this.#byUser.delete(parked.user);
    const left = (this.#perClient.get(client) ?? 1) - 1;
    if (left > 0) this.#perClient.set(client, left);
    else this.#perClient.delete(client);
  }
}

/** What one transaction may wait, for all its recipients together. */
export class ParkingBudget {
  readonly #parking: Parking;
  readonly #client: string;
  #untilMs: number | undefined;
  /** No more: a drain waits for a recipient of this transaction. */
  #isSpent = false;
  /** Undefined until the first waits: few messages ever have one. */
  #waiting: Set<(end: ParkingEnd) => void> | undefined;

  constructor(parking: Parking, client: string) {
    this.#parking = parking;
    this.#client = client;
  }

  /** @returns false where it cannot wait; then `onEnd` is not called */
  park(user: string, onEnd: (end: ParkingEnd) => void): boolean {
    const { clock, options } = this.#parking;
    const nowMs = clock.nowMs();
    const untilMs = (this.#untilMs ??= nowMs + options.parkMs);
    if (this.#isSpent || untilMs <= nowMs) return false;
    const end = (how: ParkingEnd): void => {
      if (this.#waiting?.delete(end) !== true) return;
      timer.cancel();
      leave?.();
      onEnd(how);
    };
    const leave = this.#parking.park(user, this.#client, end);
    if (leave === undefined) return false;
    const timer = clock.after(untilMs - nowMs, () => end("ended"));
    this.#waiting ??= new Set();
    this.#waiting.add(end);
    return true;
  }

  /** Whoever waits stops, and nobody begins to. */
  spend(): void {
    this.#isSpent = true;
    if (this.#waiting !== undefined) for (const end of [...this.#waiting]) end("ended");
  }
}
