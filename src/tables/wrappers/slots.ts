/** Lookups that may wait for a slot; more fail at once. At 5 s each this is far beyond what one source is asked. */
export const MAX_WAITING = 10_000;

/** So many at once, the others in order of coming. */
export class Slots {
  readonly #max: number;
  #taken = 0;
  readonly #waiting = new Set<() => boolean>();
  #onEmpty: (() => void) | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  tryTake(): boolean {
    if (this.#taken >= this.#max) return false;
    this.#taken += 1;
    return true;
  }

  /**
   * @param onSlot called once, when it is this one's turn; says whether it takes the slot, which is the next one's otherwise
   * @returns gives up waiting; undefined if too many wait
   */
  wait(onSlot: () => boolean): (() => void) | undefined {
    if (this.#waiting.size >= MAX_WAITING) return undefined;
    this.#waiting.add(onSlot);
    return () => {
      this.#waiting.delete(onSlot);
      this.#tellEmpty();
    };
  }

  /** A loop: thousands for whom it is too late would be more calls in each other than the stack holds. */
  release(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      if (next()) return;
    }
    this.#taken -= 1;
    this.#tellEmpty();
  }

  /** Resolves when nobody has a slot or waits for one. */
  whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#tellEmpty();
    });
  }

  #tellEmpty(): void {
    if (this.#taken === 0 && this.#waiting.size === 0) this.#onEmpty?.();
  }
}
