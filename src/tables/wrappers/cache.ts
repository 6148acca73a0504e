import type { Clock } from "../../core/clock.ts";
import type { CacheOptions } from "../options.ts";
import type { Answer } from "../table.ts";

type Lookup = (key: string) => Answer | Promise<Answer>;

interface Entry {
  readonly answer: Answer;
  readonly freshUntilMs: number;
  /** Found answers alone stand in for failed ones: an absent one might bounce mail for a user who is new. */
  readonly staleUntilMs: number;
}

/** What is larger is asked for each time: entries are counted, and these would fill the memory. In UTF-16 units. */
const MAX_ENTRY_UNITS = 65_536;

const isLarge = (key: string, answer: Answer): boolean =>
  key.length + (answer.kind === "found" ? answer.value.length : 0) > MAX_ENTRY_UNITS;

/** Remembers what a source answered, and asks it once where many ask for the same key at the same time. */
export class Cache {
  readonly #options: CacheOptions;
  readonly #clock: Clock;
  readonly #lookup: Lookup;
  /** The one asked for the longest time ago is the first. */
  readonly #entries = new Map<string, Entry>();
  readonly #underWay = new Map<string, Promise<Answer>>();

  constructor(options: CacheOptions, clock: Clock, lookup: Lookup) {
    this.#options = options;
    this.#clock = clock;
    this.#lookup = lookup;
  }

  get size(): number {
    return this.#entries.size;
  }

  lookup(key: string): Answer | Promise<Answer> {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.freshUntilMs > this.#clock.nowMs()) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      return entry.answer;
    }
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const asked = this.#lookup(key);
    if (!(asked instanceof Promise)) return this.#settle(key, asked);
    const settled = asked.then((answer) => {
      // Something was written meanwhile: the answer may be older than that.
      if (this.#underWay.get(key) !== settled) return answer;
      this.#underWay.delete(key);
      return this.#settle(key, answer);
    });
    this.#underWay.set(key, settled);
    return settled;
  }

  forget(key: string): void {
    this.#entries.delete(key);
    this.#underWay.delete(key);
  }

  flush(): void {
    this.#entries.clear();
    this.#underWay.clear();
  }

  #settle(key: string, answer: Answer): Answer {
    const nowMs = this.#clock.nowMs();
    if (answer.kind === "failed") {
      const entry = this.#entries.get(key);
      return entry?.answer.kind === "found" && entry.staleUntilMs > nowMs ? entry.answer : answer;
    }
    const { ttlMs, absentTtlMs, staleIfFailedMs, maxEntries } = this.#options;
    const freshUntilMs = nowMs + (answer.kind === "found" ? ttlMs : absentTtlMs);
    const staleUntilMs = answer.kind === "found" ? freshUntilMs + staleIfFailedMs : freshUntilMs;
    this.#entries.delete(key);
    if (staleUntilMs <= nowMs || isLarge(key, answer)) return answer;
    this.#entries.set(key, { answer, freshUntilMs, staleUntilMs });
    if (this.#entries.size > maxEntries) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    return answer;
  }
}
