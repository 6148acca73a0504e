/** What waits for its turn. */
export interface Waiting {
  readonly moveId: string;
  readonly from: string;
  readonly to: string;
}

export interface QueueLimits {
  readonly parallel: number;
  /** Moves at once from and to one backend. */
  readonly perBackend: number;
}

/** Lets moves begin in the order in which they came, as far as the limits of their backends allow. */
export class MoveQueue {
  /** By pair of backends, so that one that is busy is passed over at once, however many wait for it. */
  readonly #pairs = new Map<string, Map<string, Waiting>>();
  readonly #running = new Map<string, Waiting>();
  readonly #perBackend = new Map<string, number>();

  get runningCount(): number {
    return this.#running.size;
  }

  add(waiting: Waiting): void {
    const pair = pairOf(waiting);
    const same = this.#pairs.get(pair);
    if (same === undefined) this.#pairs.set(pair, new Map([[waiting.moveId, waiting]]));
    else same.set(waiting.moveId, waiting);
  }

  /** It waits no more, and has not begun. */
  remove(moveId: string): void {
    for (const [pair, same] of this.#pairs) if (same.delete(moveId) && same.size === 0) this.#pairs.delete(pair);
  }

  /** The next that may begin; it counts as running from now on. */
  take({ parallel, perBackend }: QueueLimits): Waiting | undefined {
    if (this.#running.size >= parallel) return undefined;
    for (const [pair, same] of this.#pairs) {
      const next = same.values().next().value;
      if (next === undefined || this.#countOf(next.from) >= perBackend || this.#countOf(next.to) >= perBackend)
        continue;
      same.delete(next.moveId);
      this.#pairs.delete(pair);
      // To the end: pairs take turns.
      if (same.size > 0) this.#pairs.set(pair, same);
      this.occupy(next);
      return next;
    }
    return undefined;
  }

  /** It runs already, whatever the limits say. */
  occupy(running: Waiting): void {
    if (this.#running.has(running.moveId)) return;
    this.#running.set(running.moveId, running);
    for (const backend of [running.from, running.to]) this.#perBackend.set(backend, this.#countOf(backend) + 1);
  }

  /** It has ended, or waits again. */
  free(moveId: string): void {
    const running = this.#running.get(moveId);
    if (running === undefined) return;
    this.#running.delete(moveId);
    for (const backend of [running.from, running.to]) {
      const left = this.#countOf(backend) - 1;
      if (left > 0) this.#perBackend.set(backend, left);
      else this.#perBackend.delete(backend);
    }
  }

  #countOf(backend: string): number {
    return this.#perBackend.get(backend) ?? 0;
  }
}

const pairOf = ({ from, to }: Waiting): string => `${from}\0${to}`;
