import type { Clock } from "../core/clock.ts";

/** One connection to a server, on which one thing is under way at a time. */
export interface PooledConnection {
  /** False from the moment that it is known to be broken: it is not used again. */
  readonly isUsable: boolean;
  /** Says goodbye, without waiting for an answer. */
  close(): void;
  /** Breaks off, whatever is under way. */
  destroy(): void;
}

export interface PoolOptions<Connection extends PooledConnection> {
  readonly maxConnections: number;
  readonly clock: Clock;
  /** Need not heed the abort: what comes late is destroyed. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
}

/** For how long an unused connection is trusted, in ms. Firewalls forget idle ones without a word, the strict after minutes. */
const MAX_IDLE_MS = 60_000;

/** How long a connection may take to say goodbye, in ms. */
const GOODBYE_MS = 1_000;

interface Idle<Connection> {
  readonly connection: Connection;
  readonly sinceMs: number;
}

interface Lent<Connection> {
  readonly connection: Connection;
  /** It was idle before, so that it may have died unnoticed. */
  readonly wasIdle: boolean;
}

interface Waiting<Connection> {
  readonly signal: AbortSignal;
  readonly resolve: (lent: Lent<Connection> | Promise<Lent<Connection>>) => void;
}

/** Connections made when they are needed, so many at most, and used again and again. */
export class ConnectionPool<Connection extends PooledConnection> {
  readonly #options: PoolOptions<Connection>;
  /** The one used last is the last. */
  #idle: Idle<Connection>[] = [];
  readonly #waiting = new Set<Waiting<Connection>>();
  /** Idle ones, used ones and those that are being made. */
  #count = 0;
  #isClosed = false;

  constructor(options: PoolOptions<Connection>) {
    this.#options = options;
  }

  /**
   * Rejects when `signal` aborts, and the connection is destroyed then.
   * @param mayRepeat asked when a connection that had been idle turns out broken: whether to try once more with a new one
   */
  async use<Result>(
    signal: AbortSignal,
    act: (connection: Connection) => Promise<Result>,
    mayRepeat: () => boolean,
  ): Promise<Result> {
    const { connection, wasIdle } = await this.#take(signal);
    try {
      return await this.#lend(connection, signal, act);
    } catch (error) {
      if (!wasIdle || connection.isUsable || signal.aborted || !mayRepeat()) throw error;
    }
    // Whatever ended this one may have ended the other idle ones.
    for (const { connection: idle } of this.#idle.splice(0)) this.#drop(idle);
    const next = await this.#take(signal);
    return this.#lend(next.connection, signal, act);
  }

  close(): void {
    this.#isClosed = true;
    for (const { connection } of this.#idle.splice(0)) {
      this.#count -= 1;
      connection.close();
      this.#options.clock.after(GOODBYE_MS, () => connection.destroy());
    }
  }

  #take(signal: AbortSignal): Promise<Lent<Connection>> {
    if (signal.aborted) return Promise.reject(reasonOf(signal));
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      const { connection, sinceMs } = last;
      if (connection.isUsable && this.#options.clock.nowMs() - sinceMs < MAX_IDLE_MS)
        return Promise.resolve({ connection, wasIdle: true });
      this.#drop(connection);
    }
    if (this.#count < this.#options.maxConnections) return this.#connect(signal);
    return new Promise((resolve, reject) => {
      const waiting = { signal, resolve: (lent: Lent<Connection> | Promise<Lent<Connection>>): void => end(lent) };
      const giveUp = (): void => {
        this.#waiting.delete(waiting);
        reject(reasonOf(signal));
      };
      const end = (lent: Lent<Connection> | Promise<Lent<Connection>>): void => {
        signal.removeEventListener("abort", giveUp);
        resolve(lent);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(waiting);
    });
  }

  async #connect(signal: AbortSignal): Promise<Lent<Connection>> {
    this.#count += 1;
    const connecting = this.#options.connect(signal);
    try {
      return { connection: await untilAborted(signal, connecting), wasIdle: false };
    } catch (error) {
      void connecting.then(
        (late) => late.destroy(),
        () => undefined,
      );
      this.#count -= 1;
      this.#serveNext();
      throw error;
    }
  }

  async #lend<Result>(
    connection: Connection,
    signal: AbortSignal,
    act: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await untilAborted(signal, act(connection));
    } finally {
      if (signal.aborted) connection.destroy();
      this.#giveBack(connection);
    }
  }

  #giveBack(connection: Connection): void {
    if (!connection.isUsable || this.#isClosed) {
      this.#drop(connection);
      this.#serveNext();
      return;
    }
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#idle.push({ connection, sinceMs: this.#options.clock.nowMs() });
      return;
    }
    this.#waiting.delete(next);
    next.resolve({ connection, wasIdle: false });
  }

  #serveNext(): void {
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    next.resolve(this.#connect(next.signal));
  }

  #drop(connection: Connection): void {
    this.#count -= 1;
    connection.destroy();
  }
}

/** The promise itself goes on; what becomes of it is of no interest then. */
function untilAborted<Value>(signal: AbortSignal, promise: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    signal.addEventListener("abort", abort, { once: true });
    const settle = (): void => signal.removeEventListener("abort", abort);
    promise.finally(settle).then(resolve, reject);
    if (signal.aborted) abort();
  });
}

const reasonOf = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new Error("nobody waits for the answer any more");
