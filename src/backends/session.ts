import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "../core/clock.ts";
import { Deadline } from "../core/deadline.ts";
import { Connection } from "../net/connection.ts";
import { describePeer, dialForSmallReads } from "../net/dialer.ts";
import type { Capabilities } from "../protocols/lmtp/capabilities.ts";
import { INITIAL_HANDSHAKE, onHandshakeReply, type HandshakeState } from "../protocols/lmtp/client-handshake.ts";
import { describeReply, type Reply } from "../protocols/lmtp/reply.ts";
import { ReplyDecoder } from "../protocols/lmtp/reply-decoder.ts";
import { BackendUnavailable } from "./backend-unavailable.ts";
import type { BackendOptions } from "./options.ts";

export interface SessionContext {
  readonly clock: Clock;
  /** Our name in LHLO. */
  readonly hostname: string;
  /** Shown in our own LHLO reply: a store that shows it is ourselves. */
  readonly loopToken: string;
}

/** Whoever has the session: one transaction, or its pool. */
export interface SessionUser {
  onReply(reply: Reply): void;
  /** The store takes bytes again. */
  onDrain(): void;
  /** Once; the session is closed and no reply comes any more. */
  onLost(reason: string): void;
}

export interface SessionOpening {
  onReady(session: BackendSession, note: string | undefined): void;
  onFailed(error: BackendUnavailable): void;
  /** The store has said something. */
  onHeard(): void;
  /** The session is given up: what it waited for since `sinceMs` did not come. */
  onMissed(sinceMs: number, reason: string): void;
  /** Once, in every case, when the connection no longer counts against the store's. */
  onClosed(): void;
}

/** How long a store may take to close after QUIT, in ms, before we do. */
const QUIT_TIMEOUT_MS = 5000;

/** One LMTP connection to a store: greeting, LHLO and AUTH by itself, then commands for one user after another. */
export class BackendSession {
  readonly #options: BackendOptions;
  readonly #context: SessionContext;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #decoder = new ReplyDecoder();
  readonly #deadline: Deadline;
  readonly #owner: SessionOpening;
  /** The owner, while it waits for `onReady` or `onFailed`. */
  #opening: SessionOpening | undefined;
  #handshake: HandshakeState = INITIAL_HANDSHAKE;
  #user: SessionUser | undefined;
  #capabilities: Capabilities | undefined;
  #waitingFor = "connect";
  #waitingSinceMs: number;
  #onIdle: (() => void) | undefined;
  #isClosed = false;
  #unanswered = 0;
  /** Commands held back until a store without PIPELINING has answered. */
  #backlog: string[] = [];
  /** Transactions begun on this connection, the current one included. */
  uses = 0;
  /** For `relay=` in delivery lines. */
  peer = "none";

  constructor(options: BackendOptions, context: SessionContext, opening: SessionOpening) {
    this.#options = options;
    this.#context = context;
    this.#owner = opening;
    this.#opening = opening;
    this.#waitingSinceMs = context.clock.nowMs();
    this.#deadline = new Deadline(context.clock, () => this.#onMissed());
    this.#socket = dialForSmallReads(options.lmtp);
    this.#connection = new Connection(this.#socket, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#user?.onDrain(),
      onEnd: () => this.#lose("connection closed by the store"),
      onClosed: (reason) => {
        this.#lose(reason ?? "connection closed");
        opening.onClosed();
      },
    });
    this.#deadline.set(options.timeouts.connectMs);
    this.#socket.once("connect", () => {
      this.peer = describePeer(options.lmtp, this.#socket, context.hostname);
      this.expect("greeting", options.timeouts.greetingMs);
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isCongested(): boolean {
    return this.#connection.isCongested;
  }

  /** Only after `onReady`. */
  get capabilities(): Capabilities {
    if (this.#capabilities === undefined) throw new Error("session is not ready");
    return this.#capabilities;
  }

  use(user: SessionUser | undefined): void {
    this.#user = user;
  }

  /** Sends one command line, CR LF included, whose reply will come to the user. */
  send(line: string): void {
    if (this.#unanswered > 0 && !this.capabilities.pipelining) this.#backlog.push(line);
    else this.#connection.writeText(line);
    this.#unanswered += 1;
  }

  /** After the final dot: replies that come for no command of their own. */
  awaitReplies(count: number): void {
    this.#unanswered += count;
  }

  writeBody(piece: Buffer): void {
    this.#connection.writeBytes(piece);
  }

  /** @param text bytes of a message, such as its final dot: no reply is awaited for them */
  writeText(text: string): void {
    this.#connection.writeText(text);
  }

  /** Closes the session unless the awaited thing happens, and `expect` or `settle` is called again, within `withinMs`. */
  expect(what: string, withinMs: number): void {
    this.#waitingFor = what;
    this.#waitingSinceMs = this.#context.clock.nowMs();
    this.#deadline.set(withinMs, this.#waitingSinceMs);
  }

  /** Calls `onIdle` unless `expect` or `settle` comes within `idleMs`. */
  expectNothing(idleMs: number, onIdle: () => void): void {
    this.#onIdle = onIdle;
    this.#deadline.set(idleMs);
  }

  settle(): void {
    this.#onIdle = undefined;
    this.#deadline.clear();
  }

  /** Ends politely: nothing is under way. */
  quit(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#user = undefined;
    this.#connection.writeText("QUIT\r\n");
    this.#connection.end();
    this.#connection.resume();
    this.#deadline.end();
    const timer = this.#context.clock.after(QUIT_TIMEOUT_MS, () => this.#connection.destroy());
    this.#socket.once("close", () => timer.cancel());
  }

  /** Ends at once, so that a message whose final dot was not sent is not delivered. The user hears nothing of it. */
  abort(): void {
    this.#user = undefined;
    this.#opening = undefined;
    this.#lose("aborted");
  }

  /** Ends at once; the user hears it as any other loss. */
  cut(reason: string): void {
    this.#lose(reason);
  }

  #onMissed(): void {
    const onIdle = this.#onIdle;
    this.#onIdle = undefined;
    if (onIdle !== undefined) return onIdle();
    const reason = `no answer to ${this.#waitingFor} in time`;
    this.#owner.onMissed(this.#waitingSinceMs, reason);
    this.#lose(reason);
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#decoder.push(chunk);
    this.#owner.onHeard();
    // What has come answers nothing that is sent from here on: a store that says more is out of step.
    let due = this.#capabilities === undefined ? 1 : this.#unanswered - this.#backlog.length;
    for (; ; due -= 1) {
      if (this.#isClosed) return;
      const event = this.#decoder.next();
      if (event === undefined) break;
      if (event.kind === "malformed") this.#lose(`the store does not speak LMTP: ${event.reason}`);
      else if (due === 0) this.#lose(`the store said ${describeReply(event.reply)} without being asked`);
      else if (this.#capabilities === undefined) this.#onHandshakeReply(event.reply);
      else this.#onReply(event.reply);
    }
    // Half a reply that nothing asked for would begin the next one.
    if (due === 0 && this.#decoder.hasInput) this.#lose("the store began a reply without being asked");
  }

  #onReply(reply: Reply): void {
    this.#unanswered -= 1;
    const next = this.#backlog.shift();
    if (next !== undefined) this.#connection.writeText(next);
    this.#user?.onReply(reply);
  }

  #onHandshakeReply(reply: Reply): void {
    const { credentials, name } = this.#options;
    const { hostname, loopToken } = this.#context;
    const nonce = (): string => randomBytes(18).toString("base64");
    const step = onHandshakeReply(this.#handshake, reply, { hostname, loopToken, credentials, nonce });
    switch (step.kind) {
      case "send":
        this.#handshake = step.state;
        this.#waitingFor = step.state.phase === "auth" ? "AUTH" : "LHLO";
        this.#connection.writeText(step.line);
        return;
      case "failed": {
        const why = step.cause === "temporary" ? "unreachable" : step.cause;
        return this.#fail(new BackendUnavailable(name, why, step.reason));
      }
      case "ready": {
        this.#capabilities = step.capabilities;
        this.#deadline.clear();
        const opening = this.#opening;
        this.#opening = undefined;
        opening?.onReady(this, step.note);
        return;
      }
    }
  }

  #fail(error: BackendUnavailable): void {
    const opening = this.#opening;
    this.#opening = undefined;
    this.#lose(error.message);
    opening?.onFailed(error);
  }

  #lose(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#deadline.end();
    this.#connection.destroy();
    const opening = this.#opening;
    const user = this.#user;
    this.#opening = undefined;
    this.#user = undefined;
    // "connect ECONNREFUSED" says itself what failed, "connection closed" does not.
    const told = reason.includes(this.#waitingFor) ? reason : `${this.#waitingFor}: ${reason}`;
    opening?.onFailed(new BackendUnavailable(this.#options.name, "unreachable", told));
    user?.onLost(reason);
  }
}
