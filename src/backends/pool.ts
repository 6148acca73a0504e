import type { Timer } from "../core/clock.ts";
import type { Log, LogLevel } from "../core/log.ts";
import type { Capabilities } from "../protocols/lmtp/capabilities.ts";
import { describeReply, isPositive } from "../protocols/lmtp/reply.ts";
import { BackendUnavailable } from "./backend-unavailable.ts";
import type { BackendOptions } from "./options.ts";
import { BackendSession, type SessionContext } from "./session.ts";

export interface PoolContext extends SessionContext {
  readonly log: Log;
}

export interface SessionRequest {
  /** `isReused`: it may have died while nobody looked; what was sent on it before DATA may be sent again elsewhere. */
  onSession(session: BackendSession, isReused: boolean): void;
  onUnavailable(error: BackendUnavailable): void;
}

interface Waiter {
  readonly request: SessionRequest;
  readonly timer: Timer;
}

/** An opening that fails only after so long, in ms, is a store that swallows what it is sent: the next are not let wait for it. */
const SLOW_FAILURE_MS = 1000;
/** For how long, in ms, such a store counts as unavailable without being asked again. */
const FAIL_FAST_MS = 5000;

/** The sessions of one backend: at most `maxConnections`, kept for the next transaction, handed out to one at a time. */
export class BackendPool {
  readonly options: BackendOptions;
  readonly #context: PoolContext;
  readonly #idle: BackendSession[] = [];
  readonly #waiting: Waiter[] = [];
  /** Connections to the store, those included that are opening or closing. */
  #open = 0;
  /** The sessions on them. */
  readonly #sessions = new Set<BackendSession>();
  #capabilities: Capabilities | undefined;
  #isClosing = false;
  #failFast: { readonly untilMs: number; readonly error: BackendUnavailable } | undefined;
  /** What was last logged of this backend's state, so that an outage is one line and not one a delivery. */
  #trouble: string | undefined;
  #hasNoted = false;

  constructor(options: BackendOptions, context: PoolContext) {
    this.options = options;
    this.#context = context;
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
    const session = mayBeReused ? this.#idle.pop() : undefined;
    if (session !== undefined) {
      this.#lend(session, request, true);
      return () => undefined;
    }
    const { clock } = this.#context;
    if (this.#failFast !== undefined && clock.nowMs() < this.#failFast.untilMs) {
      request.onUnavailable(this.#failFast.error);
      return () => undefined;
    }
    // Idle sessions may fill the pool when a fresh one is asked for.
    if (this.#open >= this.options.maxConnections) this.#idle.shift()?.quit();
    return this.#open < this.options.maxConnections ? this.#dial(request) : this.#wait(request);
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
    for (const waiter of this.#waiting.splice(0)) {
      waiter.timer.cancel();
      waiter.request.onUnavailable(this.#unavailable("closing", "shutting down"));
    }
  }

  /** Ends everything at once: what is past its final dot is uncertain then. */
  destroy(reason: string): void {
    this.close();
    for (const session of [...this.#sessions]) session.cut(reason);
  }

  #dial(request: SessionRequest): () => void {
    const { clock } = this.#context;
    const startedMs = clock.nowMs();
    let wanted: SessionRequest | undefined = request;
    this.#open += 1;
    const session = new BackendSession(this.options, this.#context, {
      onReady: (session, note) => {
        this.#capabilities = session.capabilities;
        this.#failFast = undefined;
        this.#noteReached(note);
        if (wanted === undefined) this.#keepOrLend(session);
        else this.#lend(session, wanted, false);
      },
      onFailed: (error) => {
        this.#noteTrouble(error);
        const nowMs = clock.nowMs();
        if (nowMs - startedMs >= SLOW_FAILURE_MS) this.#failFast = { untilMs: nowMs + FAIL_FAST_MS, error };
        wanted?.onUnavailable(error);
        // No other session is there whose end would serve those who wait: they hear what we heard.
        if (this.#open > 1) return;
        for (const waiter of this.#waiting.splice(0)) {
          waiter.timer.cancel();
          waiter.request.onUnavailable(error);
        }
      },
      onClosed: () => {
        this.#sessions.delete(session);
        this.#makeRoom();
      },
    });
    this.#sessions.add(session);
    return () => (wanted = undefined);
  }

  #wait(request: SessionRequest): () => void {
    const { slotTimeoutMs, maxConnections } = this.options;
    const timer = this.#context.clock.after(slotTimeoutMs, () => {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      request.onUnavailable(this.#unavailable("busy", `all ${maxConnections} connections to it are in use`));
    });
    const waiter: Waiter = { request, timer };
    this.#waiting.push(waiter);
    return () => {
      timer.cancel();
      const at = this.#waiting.indexOf(waiter);
      if (at !== -1) this.#waiting.splice(at, 1);
    };
  }

  #lend(session: BackendSession, request: SessionRequest, isReused: boolean): void {
    session.settle();
    session.use(undefined);
    session.uses += 1;
    request.onSession(session, isReused);
  }

  #keepOrLend(session: BackendSession): void {
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      waiter.timer.cancel();
      this.#lend(session, waiter.request, true);
    } else if (this.#isClosing || this.#idle.length >= this.options.maxIdleConnections) session.quit();
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

  #makeRoom(): void {
    this.#open -= 1;
    const waiter = this.#waiting.shift();
    if (waiter === undefined) return;
    waiter.timer.cancel();
    this.#dial(waiter.request);
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
