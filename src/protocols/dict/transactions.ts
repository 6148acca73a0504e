/** Open at a time on one connection. Dovecot has one for each write under way in a process. */
export const MAX_TRANSACTIONS = 1000;

export const MAX_CHANGES_PER_TRANSACTION = 10_000;

/** Keys and values of all open transactions of a connection, in UTF-16 units: 16 MiB at the most. */
export const MAX_HELD_UNITS = 8 * 1024 * 1024;

/** What a change costs beside its texts, so that empty ones are counted too. */
const CHANGE_COST_UNITS = 64;

/** What a table calls a change, and APPEND. */
export type DictChange =
  | { readonly kind: "set"; readonly key: string; readonly value: string }
  | { readonly kind: "unset"; readonly key: string }
  | { readonly kind: "increment"; readonly key: string; readonly by: bigint }
  | { readonly kind: "append"; readonly key: string; readonly value: string };

export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export class Transaction {
  readonly id: number;
  /** Empty: none. */
  readonly user: string;
  /** 0: never. */
  readonly expireSeconds: number;
  changes: DictChange[] = [];
  heldUnits = 0;
  timestamp: Timestamp | undefined;
  /** Its values are not for logs. */
  hidesValues = false;
  /** Why it cannot be committed. */
  refusal: string | undefined;

  constructor(id: number, user: string, expireSeconds: number) {
    this.id = id;
    this.user = user;
    this.expireSeconds = expireSeconds;
  }
}

/** The transactions that a connection has begun and not ended: dropped with it, for nothing of them is written yet. */
export class OpenTransactions {
  readonly #byId = new Map<number, Transaction>();
  #heldUnits = 0;

  get isFull(): boolean {
    return this.#byId.size >= MAX_TRANSACTIONS;
  }

  find(id: number): Transaction | undefined {
    return this.#byId.get(id);
  }

  begin(transaction: Transaction): void {
    this.#byId.set(transaction.id, transaction);
  }

  /** What is too large is refused at its commit: to close would make the client send it all again. */
  add(transaction: Transaction, change: DictChange): void {
    if (transaction.refusal !== undefined) return;
    const units = CHANGE_COST_UNITS + change.key.length + ("value" in change ? change.value.length : 0);
    if (transaction.changes.length === MAX_CHANGES_PER_TRANSACTION)
      transaction.refusal = `more than ${MAX_CHANGES_PER_TRANSACTION} changes in one transaction`;
    else if (this.#heldUnits + units > MAX_HELD_UNITS)
      transaction.refusal = "more than this server holds in one connection's transactions";
    if (transaction.refusal !== undefined) {
      this.#release(transaction);
      return;
    }
    transaction.changes.push(change);
    transaction.heldUnits += units;
    this.#heldUnits += units;
  }

  /** Its changes stay its own. */
  remove(transaction: Transaction): void {
    this.#byId.delete(transaction.id);
    this.#heldUnits -= transaction.heldUnits;
  }

  #release(transaction: Transaction): void {
    this.#heldUnits -= transaction.heldUnits;
    transaction.heldUnits = 0;
    transaction.changes = [];
  }
}
