import type { LeaseCounts, LeaseMessage } from "./messages.ts";

/** One who has leases. */
export interface Leaseholder {
  lease(message: LeaseMessage): void;
}

interface Wish {
  readonly holder: Leaseholder;
  readonly isPatient: boolean;
  /** Others who have not said yet whether they can give. */
  readonly asked: Set<Leaseholder>;
}

interface Share {
  readonly max: number;
  readonly counts: Map<Leaseholder, number>;
  wishes: Wish[];
}

/**
 * Quotas that hold for all workers together, such as connections to one store. Each worker gets an equal part at its
 * start, and what one has and does not use goes to another that asks. What a worker may use never exceeds a quota.
 */
export class Shares {
  readonly #shares = new Map<string, Share>();

  /** Quotas of a configuration. Those that are in it no more stay for those who still use them. */
  configure(quotas: ReadonlyMap<string, number>): void {
    for (const [key, max] of quotas)
      if (!this.#shares.has(key)) this.#shares.set(key, { max, counts: new Map(), wishes: [] });
    for (const [key, { counts }] of this.#shares) if (!quotas.has(key) && counts.size === 0) this.#shares.delete(key);
  }

  /** Sets aside for a worker what it has no part of yet. @param workerCount between how many each quota is divided */
  allot(holder: Leaseholder, workerCount: number): LeaseCounts {
    const allotted: [string, number][] = [];
    for (const [key, share] of this.#shares) {
      if (share.counts.has(holder)) continue;
      const count = Math.min(Math.floor(share.max / workerCount), leftOf(share));
      share.counts.set(holder, count);
      allotted.push([key, count]);
    }
    return allotted;
  }

  want(holder: Leaseholder, key: string, isPatient: boolean): void {
    const share = this.#shares.get(key);
    if (share === undefined) return holder.lease({ kind: "denied", key });
    const asked = new Set([...share.counts.keys()].filter((other) => other !== holder));
    share.wishes.push({ holder, isPatient, asked });
    if (this.#serve(key, share)) return;
    for (const other of asked) other.lease({ kind: "claim", key });
    this.#deny(key, share);
  }

  given(holder: Leaseholder, key: string, given: number): void {
    const share = this.#shares.get(key);
    const count = share?.counts.get(holder);
    if (share === undefined || count === undefined) return;
    share.counts.set(holder, count - given);
    this.#serve(key, share);
    if (share.wishes.every((wish) => wish.holder === holder)) holder.lease({ kind: "even", key });
    this.#answered(holder, key, share);
  }

  kept(holder: Leaseholder, key: string): void {
    const share = this.#shares.get(key);
    if (share !== undefined) this.#answered(holder, key, share);
  }

  /** The worker has ended: what it had is free. */
  remove(holder: Leaseholder): void {
    for (const [key, share] of this.#shares) {
      share.counts.delete(holder);
      share.wishes = share.wishes.filter((wish) => wish.holder !== holder);
      this.#serve(key, share);
      this.#answered(holder, key, share);
    }
  }

  /** @returns whether nobody waits any more */
  #serve(key: string, share: Share): boolean {
    for (let left = leftOf(share); left > 0; left = leftOf(share)) {
      const wish = share.wishes.shift();
      if (wish === undefined) return true;
      // Who asks for one will soon ask for more.
      const count = Math.ceil(left / (share.wishes.length + 1));
      share.counts.set(wish.holder, (share.counts.get(wish.holder) ?? 0) + count);
      wish.holder.lease({ kind: "granted", key, count });
    }
    return share.wishes.length === 0;
  }

  #answered(holder: Leaseholder, key: string, share: Share): void {
    // Claims are answered in their order.
    share.wishes.find(({ asked }) => asked.has(holder))?.asked.delete(holder);
    this.#deny(key, share);
  }

  /** Those who cannot wait, once everyone has said no. */
  #deny(key: string, share: Share): void {
    const denied = share.wishes.filter(({ isPatient, asked }) => !isPatient && asked.size === 0);
    if (denied.length === 0) return;
    share.wishes = share.wishes.filter((wish) => !denied.includes(wish));
    for (const { holder } of denied) holder.lease({ kind: "denied", key });
  }
}

function leftOf({ max, counts }: Share): number {
  let used = 0;
  for (const count of counts.values()) used += count;
  return max - used;
}
