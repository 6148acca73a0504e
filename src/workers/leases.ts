import type { Quota, Quotas, QuotaUser } from "../core/quota.ts";
import type { FromWorker, LeaseCounts, LeaseMessage } from "./messages.ts";

type Sent = Extract<FromWorker, { kind: "want" | "given" | "kept" }>;

/** A worker's part of each quota. The primary has the whole: see `Shares`. */
export class Leases implements Quotas {
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

  of(key: string, _max: number, user: QuotaUser): Quota {
    const lease = new Lease(key, this.#leases.get(key)?.limit ?? this.#limits.get(key) ?? 0, user, this.#send);
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

class Lease implements Quota {
  readonly #key: string;
  readonly #user: QuotaUser;
  readonly #send: (message: Sent) => void;
  #limit: number;
  #owed = 0;
  #hasAsked = false;

  constructor(key: string, limit: number, user: QuotaUser, send: (message: Sent) => void) {
    this.#key = key;
    this.#limit = limit;
    this.#user = user;
    this.#send = send;
  }

  get limit(): number {
    return this.#limit;
  }

  get isOwing(): boolean {
    return this.#owed > 0;
  }

  want(): void {
    if (this.#hasAsked) return;
    this.#hasAsked = true;
    this.#send({ kind: "want", key: this.#key, isPatient: this.#user.isPatient });
  }

  settle(): void {
    while (this.#owed > 0 && this.#user.used() < this.#limit) {
      this.#owed -= 1;
      this.#give(1);
    }
  }

  on(message: LeaseMessage): void {
    switch (message.kind) {
      case "granted":
        this.#hasAsked = false;
        this.#limit += message.count;
        return this.#user.onGrown();
      case "denied":
        this.#hasAsked = false;
        return this.#user.onDenied();
      case "claim":
        return this.#onClaim();
    }
  }

  #onClaim(): void {
    const unused = this.#limit - this.#user.used();
    // Who claims one will soon claim more.
    if (unused > 0) return this.#give(Math.ceil(unused / 2));
    this.#send({ kind: "kept", key: this.#key });
    if (!this.#user.isPatient) return;
    this.#owed += 1;
    this.#user.onOwing();
  }

  #give(count: number): void {
    this.#limit -= count;
    this.#send({ kind: "given", key: this.#key, count });
  }
}
