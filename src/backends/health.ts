import type { Clock } from "../core/clock.ts";
import type { BackendUnavailable } from "./backend-unavailable.ts";

interface Silence {
  readonly error: BackendUnavailable;
  /** When one delivery may find out whether the store answers again. */
  readonly retryAtMs: number;
  isProbing: boolean;
}

/** For how long, in ms, a silent store is not asked again. */
const PAUSE_MS = 5000;

/**
 * Whether it makes sense to wait for a store. One that hangs would hold every connection of the MTA in turn, and with them
 * the mail for all other stores; so after one delivery has waited in vain, the next are refused at once, until one
 * that is let through gets an answer. A store that refuses quickly needs none of this.
 */
export class StoreHealth {
  readonly #clock: Clock;
  #lastHeardMs = Number.NEGATIVE_INFINITY;
  #silence: Silence | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The store has answered something. */
  heard(): void {
    this.#lastHeardMs = this.#clock.nowMs();
    this.#silence = undefined;
  }

  /**
   * A deadline was missed that ran since `sinceMs`.
   * @returns whether the store counts as silent from now on: not so if it has answered others meanwhile
   */
  missed(sinceMs: number, error: BackendUnavailable): boolean {
    if (this.#lastHeardMs > sinceMs) return false;
    this.#silence = { error, retryAtMs: this.#clock.nowMs() + PAUSE_MS, isProbing: false };
    return true;
  }

  /** The store could not be reached, which it said at once: there is nothing to wait for. */
  failed(): void {
    if (this.#silence?.isProbing === true) this.#silence = undefined;
  }

  /** Why a delivery should not wait for the store. Undefined lets it through, as the only one while the store is silent. */
  refusal(): BackendUnavailable | undefined {
    if (this.#silence === undefined) return undefined;
    if (this.#silence.isProbing || this.#clock.nowMs() < this.#silence.retryAtMs) return this.#silence.error;
    this.#silence.isProbing = true;
    return undefined;
  }
}
