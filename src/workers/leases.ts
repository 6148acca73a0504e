import type { Quota, Quotas, QuotaUser } from "../core/quota.ts";
import type { FromWorker, LeaseCounts, LeaseMessage } from "./messages.ts";

type Sent = Extract<FromWorker, { kind: "want" | "given" | "kept" }>;

/** A worker's part of each quota. The primary has the whole: see `Shares`. */
export class Leases implements Quotas {
  /** Between how many each quota is divided. One that retires has no part of its own. */
  workerCount = Infinity;
  readonly #send: (message: Sent) => void;
  readonly #limits = new Map<string, number>();
  readonly #leases = new Map<string, Lease>();

  constructor(send: (message: Sent) => void) {
    this.#send = send;
  }

  /** What the primary has set aside for quotas that come into use. */
  expect(counts: LeaseCounts): void {
    for (const [key, count] of counts) if (!this.#leases.has(key)) this.#limits.set(key, count);
  }

  of(key: string, max: number, user: QuotaUser): Quota {
    const limit = this.#leases.get(key)?.limit ?? this.#limits.get(key) ?? 0;
    const lease = new Lease({ key, limit, user, part: () => Math.floor(max / this.workerCount), send: this.#send });
    this.#limits.delete(key);
    this.#leases.set(key, lease);
    return lease;
  }

  on(message: LeaseMessage): void {
    const { kind, key } = message;
    const lease = this.#leases.get(key);
    if (lease !== undefined) lease.on(message);
    // Not in use yet, or not any more.
    else if (kind === "claim") this.#send({ kind: "kept", key });
  }
}

interface LeaseParts {
  readonly key: string;
  readonly limit: number;
  readonly user: QuotaUser;
  /** What this worker may keep while it has somebody waiting, however many wait elsewhere. */
  readonly part: () => number;
  readonly send: (message: Sent) => void;
}

class Lease implements Quota {
  readonly #key: string;
  readonly #user: QuotaUser;
  readonly #part: () => number;
  readonly #send: (message: Sent) => void;
  #limit: number;
  /** Others wait, until the primary says that nobody does. */
  #isClaimed = false;
  #hasAsked = false;

  constructor({ key, limit, user, part, send }: LeaseParts) {
    this.#key = key;
    this.#limit = limit;
    this.#user = user;
    this.#part = part;
    this.#send = send;
  }

  get limit(): number {
    return this.#limit;
  }

  get isOwing(): boolean {
    // Where everybody waits, sessions would go round and round, and none would be used twice.
    return this.#isClaimed && (this.#limit > this.#part() || !this.#user.isWaiting());
  }

  want(): void {
    if (this.#hasAsked) return;
    this.#hasAsked = true;
    this.#send({ kind: "want", key: this.#key, isPatient: this.#user.isPatient });
  }

  settle(): void {
    while (this.isOwing && this.#user.used() < this.#limit) {
      this.#give(1);
    }
  }

  on(message: LeaseMessage): void {
    switch (message.kind) {
      case "granted":
        this.#hasAsked = false;
        this.#limit += message.count;
        this.#user.onGrown();
        return this.#returnNeedless(message.count);
      case "denied":
        this.#hasAsked = false;
        return this.#user.onDenied();
      case "claim":
        return this.#onClaim();
      case "even":
        this.#isClaimed = false;
        return;
    }
  }

  #onClaim(): void {
    const unused = this.#limit - this.#user.used();
    // Who claims one will soon claim more.
    if (unused > 0) return this.#give(Math.ceil(unused / 2));
    this.#send({ kind: "kept", key: this.#key });
    if (!this.#user.isPatient) return;
    this.#isClaimed = true;
    this.#user.onOwing();
  }

  /** Who waited here has been served by now: others wait. */
  #returnNeedless(granted: number): void {
    const needless = Math.min(granted, this.#limit - this.#user.used());
    if (this.#user.isPatient && needless > 0) this.#give(needless);
  }

  #give(count: number): void {
    this.#limit -= count;
    this.#send({ kind: "given", key: this.#key, count });
  }
}
