import { createHash } from "node:crypto";
import type { Timer } from "../core/clock.ts";
import type { Log, LogLevel } from "../core/log.ts";
import { ownQuotas } from "../core/quota.ts";
import type { Quota, Quotas } from "../core/quota.ts";
import type { Capabilities } from "../protocols/lmtp/capabilities.ts";
import { describeReply, isPositive } from "../protocols/lmtp/reply.ts";
import { BackendUnavailable } from "./backend-unavailable.ts";
import { StoreHealth } from "./health.ts";
import type { BackendOptions } from "./options.ts";
import { BackendSession, type SessionContext } from "./session.ts";

export interface PoolContext extends SessionContext {
  readonly log: Log;
  /** Names of backends that an operator has taken out of service. */
  readonly disabledBackends: ReadonlySet<string>;
  /** Default: this process shares with none. */
  readonly quotas?: Quotas | undefined;
}

export interface SessionRequest {
  /** `isReused`: it may have died while nobody looked; what was sent on it before DATA may be sent again elsewhere. */
  onSession(session: BackendSession, isReused: boolean): void;
  onUnavailable(error: BackendUnavailable): void;
}

/** A request on its way, from the queue through a connection being opened to a session. */
interface Ticket {
  /** undefined: taken back. */
  request: SessionRequest | undefined;
  timer: Timer | undefined;
}

/** The sessions of one backend: at most `maxConnections`, kept for the next transaction, handed out to one at a time. */
export class BackendPool {
  readonly options: BackendOptions;
  readonly #context: PoolContext;
  readonly #idle: BackendSession[] = [];
  readonly #waiting: Ticket[] = [];
  readonly #health: StoreHealth;
  /** All connections to the store, those included that are opening or closing. */
  readonly #sessions = new Set<BackendSession>();
  /** `maxConnections`, which holds for all processes of the daemon together. */
  readonly #quota: Quota;
  #capabilities: Capabilities | undefined;
  #isClosing = false;
  /** What was last logged of this backend's state, so that an outage is one line and not one a delivery. */
  #trouble: string | undefined;
  #hasNoted = false;

  constructor(options: BackendOptions, context: PoolContext) {
    this.options = options;
    this.#context = context;
    this.#health = new StoreHealth(context.clock);
    const { quotas = ownQuotas } = context;
    this.#quota = quotas.of(quotaKey(options), options.maxConnections, {
      used: () => this.#sessions.size,
      isWaiting: () => this.#waiting.length > 0,
      onGrown: () => this.#dialWaiting(),
      onDenied: () => undefined,
      onOwing: () => this.#idle.shift()?.quit(),
      isPatient: true,
    });
  }

  /** Why it could not be reached the last time; undefined while it can. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get openCount(): number {
    return this.#sessions.size;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** What the store announced when it was last reached. */
  get capabilities(): Capabilities | undefined {
    return this.#capabilities;
  }

  /**
   * Asks for a session; the answer may come before this returns.
   * @returns a function that takes the request back
   */
  request(request: SessionRequest, mayBeReused: boolean): () => void {
    if (this.#context.disabledBackends.has(this.options.name)) {
      request.onUnavailable(this.#unavailable("disabled", "an operator has taken it out of service"));
      return () => undefined;
    }
    const session = mayBeReused ? this.#idle.pop() : undefined;
    if (session !== undefined) {
      this.#lend(session, request, true);
      return () => undefined;
    }
    const refusal = this.#health.refusal();
    if (refusal !== undefined) {
      request.onUnavailable(refusal);
      return () => undefined;
    }
    // Idle sessions may fill the pool when a fresh one is asked for.
    if (this.#isFull) this.#idle.shift()?.quit();
    const ticket: Ticket = { request, timer: undefined };
    if (this.#isFull) this.#wait(ticket);
    else this.#dial(ticket);
    return () => this.#takeBack(ticket);
  }

  /** Takes a session back. `isClean`: no transaction is open on it, else RSET ends it first. */
  release(session: BackendSession, isClean: boolean): void {
    session.settle();
    if (session.isClosed) return;
    if (this.#isClosing) session.quit();
    else if (isClean) this.#keepOrLend(session);
    else this.#reset(session);
  }

  /** Learns what the store announces, before the first message needs it. */
  probe(): void {
    const onSession = (session: BackendSession): void => {
      session.uses -= 1; // no transaction
      this.release(session, true);
    };
    this.request({ onSession, onUnavailable: () => undefined }, true);
  }

  /** Ends what is idle; what is lent ends when it comes back. */
  close(): void {
    this.#isClosing = true;
    for (const session of this.#idle.splice(0)) session.quit();
    this.#refuseWaiting(this.#unavailable("closing", "shutting down"));
  }

  /** Ends everything at once: what is past its final dot is uncertain then. */
  destroy(reason: string): void {
    this.close();
    for (const session of [...this.#sessions]) session.cut(reason);
  }

  get #isFull(): boolean {
    return this.#sessions.size >= this.#quota.limit;
  }

  #dialWaiting(): void {
    while (!this.#isFull) {
      const next = this.#nextWaiting();
      if (next === undefined) return;
      this.#dial(next);
    }
    if (this.#waiting.length > 0) this.#quota.want();
  }

  #dial(ticket: Ticket): void {
    const session = new BackendSession(this.options, this.#context, {
      onReady: (session, note) => {
        this.#capabilities = session.capabilities;
        this.#noteReached(note);
        if (ticket.request === undefined) this.#keepOrLend(session);
        else this.#lend(session, ticket.request, false);
      },
      onFailed: (error) => {
        this.#noteTrouble(error);
        this.#health.failed();
        ticket.request?.onUnavailable(error);
        // No other session is there whose end would serve those who wait: they hear what we heard.
        if (this.#sessions.size <= 1) this.#refuseWaiting(error);
      },
      onHeard: () => this.#health.heard(),
      onMissed: (sinceMs, reason) => this.#onMissed(sinceMs, reason),
      onClosed: () => {
        this.#sessions.delete(session);
        this.#quota.settle();
        this.#dialWaiting();
      },
    });
    this.#sessions.add(session);
  }

  #onMissed(sinceMs: number, reason: string): void {
    const error = this.#unavailable("unreachable", reason);
    if (!this.#health.missed(sinceMs, error)) return;
    this.#noteTrouble(error);
    // What is idle would be silent too.
    for (const session of this.#idle.splice(0)) session.quit();
    this.#refuseWaiting(error);
  }

  #wait(ticket: Ticket): void {
    const { slotTimeoutMs, maxConnections } = this.options;
    ticket.timer = this.#context.clock.after(slotTimeoutMs, () => {
      const { request } = ticket;
      this.#takeBack(ticket);
      request?.onUnavailable(this.#unavailable("busy", `all ${maxConnections} connections to it are in use`));
    });
    this.#waiting.push(ticket);
    this.#quota.want();
  }

  #takeBack(ticket: Ticket): void {
    ticket.request = undefined;
    ticket.timer?.cancel();
    const at = this.#waiting.indexOf(ticket);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  #nextWaiting(): Ticket | undefined {
    const ticket = this.#waiting.shift();
    ticket?.timer?.cancel();
    return ticket;
  }

  #refuseWaiting(error: BackendUnavailable): void {
    for (let ticket = this.#nextWaiting(); ticket !== undefined; ticket = this.#nextWaiting())
      ticket.request?.onUnavailable(error);
  }

  #lend(session: BackendSession, request: SessionRequest, isReused: boolean): void {
    session.settle();
    session.use(undefined);
    session.uses += 1;
    request.onSession(session, isReused);
  }

  #keepOrLend(session: BackendSession): void {
    // Who waits in another process would wait for ever if we had always somebody of our own.
    const next = this.#quota.isOwing ? undefined : this.#nextWaiting()?.request;
    if (next !== undefined) this.#lend(session, next, true);
    else if (this.#isClosing || this.#quota.isOwing || this.#idle.length >= this.options.maxIdleConnections)
      session.quit();
    else this.#keep(session);
  }

  #keep(session: BackendSession): void {
    const forget = (): void => {
      const at = this.#idle.indexOf(session);
      if (at !== -1) this.#idle.splice(at, 1);
    };
    // A store that closes an idle session, or says 421 on it, does nothing wrong.
    session.use({ onReply: () => undefined, onDrain: () => undefined, onLost: forget });
    session.expectNothing(this.options.idleTimeoutMs, () => {
      forget();
      session.quit();
    });
    this.#idle.push(session);
  }

  #reset(session: BackendSession): void {
    session.use({
      onReply: (reply) => {
        if (isPositive(reply)) return this.release(session, true);
        if (reply.code >= 500) this.#log("error", `answered RSET with ${describeReply(reply)}`);
        session.quit();
      },
      onDrain: () => undefined,
      onLost: () => undefined,
    });
    session.send("RSET\r\n");
    session.expect("RSET", this.options.timeouts.commandMs);
  }

  #unavailable(why: BackendUnavailable["why"], reason: string): BackendUnavailable {
    return new BackendUnavailable(this.options.name, why, reason);
  }

  #noteTrouble(error: BackendUnavailable): void {
    if (this.#trouble === error.message) return;
    this.#trouble = error.message;
    this.#log(error.why === "unreachable" ? "warning" : "error", `unavailable: ${error.message}`);
  }

  #noteReached(note: string | undefined): void {
    if (this.#trouble !== undefined) this.#log("notice", "available again");
    this.#trouble = undefined;
    if (note === undefined || this.#hasNoted) return;
    this.#hasNoted = true;
    this.#log("warning", note);
  }

  #log(level: LogLevel, text: string): void {
    this.#context.log.write({ kind: "message", level, part: "backend", text: `${this.options.name}: ${text}` });
  }
}

/** Names a backend with these very options: passwords are among them, so they are hashed. */
export function quotaKey(options: BackendOptions): string {
  const digest = createHash("sha256").update(JSON.stringify(options)).digest("base64url");
  return `backend ${options.name} ${digest}`;
}
