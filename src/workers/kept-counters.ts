import { addCounters } from "../observe/metrics.ts";
import type { MetricsJson } from "../observe/metrics.ts";

/** What workers have counted, also those that have ended or do not answer: a counter that falls would tell of a restart. */
export class KeptCounters<Worker> {
  readonly #latest = new Map<Worker, MetricsJson>();
  #ended: MetricsJson = [];

  /** Counters of workers that have ended, as they stood when they were last told. */
  get ended(): MetricsJson {
    return this.#ended;
  }

  /** @param told undefined where the worker does not answer. @returns what is known of it */
  note(worker: Worker, told: MetricsJson | undefined): MetricsJson {
    if (told !== undefined) this.#latest.set(worker, told);
    return told ?? this.#latest.get(worker) ?? [];
  }

  end(worker: Worker): void {
    this.#ended = addCounters(this.#ended, this.#latest.get(worker) ?? []);
    this.#latest.delete(worker);
  }
}
