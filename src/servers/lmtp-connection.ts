import type { Socket } from "node:net";
import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import { Deadline } from "../core/deadline.ts";
import { Connection } from "../net/connection.ts";
import { CommandDecoder } from "../protocols/lmtp/command-decoder.ts";
import { encodeReply } from "../protocols/lmtp/reply.ts";
import { ClientSession, SHUTTING_DOWN } from "./client-session.ts";
import type { LmtpService } from "./service.ts";

export interface LmtpConnectionParts {
  readonly service: LmtpService;
  /** Id for log lines and replies. */
  readonly session: string;
  /** Undefined on a unix socket. */
  readonly address: string | undefined;
  readonly isTrusted: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly onClosed: () => void;
}

/** How long a client may take to close after our last reply, in ms. */
const CLOSE_TIMEOUT_MS = 10_000;

/** One client's socket: the one place for backpressure and for the client's silence. */
export class LmtpConnection {
  readonly #service: LmtpService;
  readonly #onGone: () => void;
  readonly #connection: Connection;
  readonly #deadline: Deadline;
  readonly #decoder: CommandDecoder;
  readonly #session: ClientSession;
  #isPumping = false;
  #isPaused = false;
  #isEnding = false;
  /** The client has said that it will say no more. */
  #isAllSaid = false;

  constructor(socket: Socket, { service, session, address, isTrusted, clock, log, onClosed }: LmtpConnectionParts) {
    this.#service = service;
    this.#onGone = onClosed;
    this.#decoder = new CommandDecoder(service.limits.maxLineBytes);
    this.#deadline = new Deadline(clock, () => this.#onSilence());
    this.#connection = new Connection(socket, {
      onData: (chunk) => this.#onData(chunk),
      onDrain: () => this.#pump(),
      onEnd: () => this.#onEnd(),
      onClosed: () => this.#onClosed(),
    });
    this.#session = new ClientSession({
      service,
      session,
      address,
      isTrusted,
      log,
      decoder: this.#decoder,
      write: (text) => this.#connection.writeText(text),
      wake: () => this.#pump(),
    });
    this.#deadline.set(service.limits.idleTimeoutMs);
  }

  /** Finishes the message under way, then closes. */
  stop(): void {
    this.#session.stop();
    this.#pump();
  }

  /** Says 421 in place of the replies still owed, and ends: what has no final dot is not delivered. */
  destroy(): void {
    this.#isEnding = true;
    this.#session.close();
    // Who does not read would keep the socket open.
    if (this.#connection.isCongested) return this.#connection.destroy();
    this.#connection.writeText(encodeReply(SHUTTING_DOWN));
    this.#connection.endAtOnce();
  }

  #onData(chunk: Buffer): void {
    if (this.#session.isClosed) return;
    this.#deadline.set(this.#service.limits.idleTimeoutMs);
    this.#decoder.push(chunk);
    this.#pump();
  }

  /** Takes from the input what can be taken now, then reads on, pauses or ends. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    // A client that does not take replies is given no more of them to take.
    while (!(this.#session.isReadingCommands && this.#connection.isCongested) && this.#session.takeNext());
    this.#isPumping = false;
    this.#session.closeWhenIdle();
    if (this.#isAllSaid && !this.#session.isBusy) this.#session.close();
    this.#endWhenAnswered();
    this.#pauseOrResume();
  }

  #endWhenAnswered(): void {
    if (!this.#session.isClosed || !this.#session.isAnswered || this.#isEnding) return;
    this.#isEnding = true;
    if (this.#session.hasQuit) return this.#connection.endAtOnce();
    this.#connection.end();
    this.#deadline.set(CLOSE_TIMEOUT_MS);
  }

  #pauseOrResume(): void {
    const isBlocked = this.#session.isBlocked || (this.#connection.isCongested && !this.#session.isClosed);
    if (isBlocked === this.#isPaused) return;
    this.#isPaused = isBlocked;
    if (isBlocked) this.#connection.pause();
    else this.#connection.resume();
  }

  #onSilence(): void {
    if (this.#isEnding || this.#connection.isCongested) return this.#connection.destroy();
    // Silence is the client's only while it is his turn.
    if (this.#session.isBusy) return this.#deadline.set(this.#service.limits.idleTimeoutMs);
    this.#session.closeForSilence();
    this.#pump();
  }

  /** What the client left unfinished is off, what it finished is still taken and answered. */
  #onEnd(): void {
    this.#isAllSaid = true;
    this.#session.onAllSaid();
    this.#pump();
  }

  #onClosed(): void {
    this.#deadline.end();
    this.#isEnding = true;
    this.#session.abandon();
    this.#onGone();
  }
}
