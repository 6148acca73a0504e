import type { BackendUnavailable } from "../backends/backend-unavailable.ts";
import type { BackendPool, SessionRequest } from "../backends/pool.ts";
import type { BackendSession, SessionUser } from "../backends/session.ts";
import { describeReply, isPositive, type Reply } from "../protocols/lmtp/reply.ts";
import type { MailCommand } from "../protocols/lmtp/server-session.ts";
import { CommandPipeline } from "./command-pipeline.ts";
import { addressFault, envelopeLines, rcptLine } from "./envelope.ts";
import type { Recipient } from "./recipient.ts";
import { judge, lostReply, ownReply, unavailableReply, type ReplyNames, type VerdictStage } from "./verdict.ts";

/** What the leg tells its transaction. Each recipient gets one `onAnswered`, and one `onFinal` if that was positive. */
export interface LegEvents {
  /** The front session's id, for replies of our own. */
  readonly session: string;
  nowMs(): number;
  onAnswered(recipient: Recipient, reply: Reply): void;
  /** The store's last word, or ours about it. `isUncertain`: the store may hold the message all the same. */
  onFinal(recipient: Recipient, reply: Reply, isUncertain: boolean): void;
  /** The store said 354, or never will. */
  onDataSettled(): void;
  onDrain(): void;
  /** The store refused us rather than the mail. */
  onAlarm(leg: StoreLeg, text: string): void;
}

/**
 * `waiting`: for a session. `envelope`: MAIL and RCPT are on their way. `data`: DATA too. `body`: 354 has come.
 * `dot`: so is the end. `leaving`: only replies that nobody waits for any more are due. `over`: the session is gone.
 */
type Phase = "waiting" | "envelope" | "data" | "body" | "dot" | "leaving" | "over";

/** One store's part in a transaction: one session, its recipients, its own success or failure. */
export class StoreLeg implements SessionUser, SessionRequest {
  readonly pool: BackendPool;
  readonly #mail: MailCommand;
  readonly #events: LegEvents;
  readonly #names: ReplyNames;
  readonly #recipients: Recipient[] = [];
  #phase: Phase = "waiting";
  #session: BackendSession | undefined;
  #takeBack: () => void = () => undefined;
  /** A reused session that dies before 354 is replaced once, by a fresh one. */
  #isReplaceable = false;
  #wantsData = false;
  /** On the present session; undefined while there is none. */
  #pipeline: CommandPipeline | undefined;
  /** Recipients that the present session has accepted, in order; after the dot those without a final reply. */
  #accepted: Recipient[] = [];
  #finalAt = 0;
  /** Why no recipient can be accepted any more: MAIL was refused, or the store is lost. */
  #refusal: Reply | undefined;
  readyMs: number | undefined;
  dotMs: number | undefined;
  peer = "none";
  uses = 1;

  constructor(pool: BackendPool, mail: MailCommand, events: LegEvents) {
    this.pool = pool;
    this.#mail = mail;
    this.#events = events;
    this.#names = { backend: pool.options.name, session: events.session };
  }

  get isTakingBody(): boolean {
    return this.#phase === "body";
  }

  get isDataSettled(): boolean {
    return this.#phase === "body" || this.#phase === "leaving" || this.#phase === "over";
  }

  get isCongested(): boolean {
    return this.#phase === "body" && this.#session?.isCongested === true;
  }

  /** Asks for the first session; the answers may come before this returns. */
  open(): void {
    this.#request(true);
  }

  addRecipient(recipient: Recipient): void {
    if (this.#refusal !== undefined) return this.#events.onAnswered(recipient, this.#refusal);
    this.#recipients.push(recipient);
    if (this.#phase !== "envelope" || this.#session === undefined) return;
    const fault = this.#sendRecipient(recipient, this.#session);
    if (fault !== undefined) this.#settleRecipient(recipient, fault);
  }

  /** DATA, as soon as the session allows. Recipients may still be without an answer: the client pipelined, so do we. */
  startData(): void {
    this.#wantsData = true;
    if (this.#phase === "envelope") this.#sendData();
  }

  write(piece: Buffer): void {
    if (this.#phase !== "body" || this.#session === undefined) return;
    const wasCongested = this.#session.isCongested;
    this.#session.writeBody(piece);
    if (!wasCongested && this.#session.isCongested)
      this.#session.expect("the message: it takes no bytes", this.pool.options.timeouts.bodyMs);
  }

  /** The final dot: from here on nothing takes the message back. */
  finish(): void {
    if (this.#phase !== "body" || this.#session === undefined) return;
    this.#phase = "dot";
    this.dotMs = this.#events.nowMs();
    this.#session.writeText(".\r\n");
    this.#session.awaitReplies(this.#accepted.length);
    this.#session.expect("the end of data", this.pool.options.timeouts.finalMs);
  }

  /** Ends the leg before its final dot, so that nothing is delivered; after it, nothing happens. */
  abort(): void {
    switch (this.#phase) {
      case "waiting":
        this.#takeBack();
        return this.#end();
      case "envelope":
        return this.#leave();
      case "data":
        // Nobody accepted: the store will refuse DATA, and its session stays of use.
        if (this.#recipients.every(isRefused)) return;
        this.#session?.abort();
        return this.#end();
      case "body":
        this.#session?.abort();
        return this.#end();
      case "dot":
      case "leaving":
      case "over":
        return;
    }
  }

  /** Gives up on a store that does not answer in time. */
  giveUp(reason: string): void {
    if (this.isDataSettled || this.#phase === "dot") return;
    this.#takeBack();
    this.#session?.abort();
    this.#fail(lostReply(this.#names, reason, false));
  }

  /** As `giveUp`, and also while the message is on its way: the store gets no final dot. */
  cutOff(reason: string): void {
    if (this.#phase === "dot" || this.#phase === "leaving" || this.#phase === "over") return;
    this.#takeBack();
    this.#session?.abort();
    this.#fail(ownReply(this.#names.session, 451, "4.2.1", reason));
  }

  onReply(reply: Reply): void {
    if (this.#phase === "dot") return this.#onFinalReply(reply);
    const expected = this.#pipeline?.take();
    if (expected === undefined) return this.#breakOff(`answered ${describeReply(reply)} before the end of data`);
    // A reused session may have timed out at the store while we wrote to it.
    if (reply.code === 421 && this.#isReplaceable && this.#phase !== "leaving") {
      this.#session?.abort();
      return this.onLost("421");
    }
    if (this.#phase === "leaving") return this.#leave();
    if (expected === "XFORWARD") this.#onXforwardReply(reply);
    else if (expected === "MAIL") this.#onMailReply(reply);
    else if (expected === "DATA") this.#onDataReply(reply);
    else this.#onRcptReply(expected, reply);
  }

  onDrain(): void {
    if (this.#phase !== "body") return;
    this.#session?.settle();
    this.#events.onDrain();
  }

  onLost(reason: string): void {
    this.#session = undefined;
    if (this.#phase === "leaving") return this.#end();
    if (this.#isReplaceable && (this.#phase === "envelope" || this.#phase === "data")) {
      this.#pipeline = undefined;
      this.#accepted = [];
      this.#phase = "waiting";
      return this.#request(false);
    }
    this.#fail(lostReply(this.#names, reason, this.#phase === "dot"));
  }

  #request(mayBeReused: boolean): void {
    this.#takeBack = this.pool.request(this, mayBeReused);
  }

  onSession(session: BackendSession, isReused: boolean): void {
    this.#session = session;
    this.#isReplaceable = isReused;
    this.peer = session.peer;
    this.uses = session.uses;
    this.readyMs = this.#events.nowMs();
    session.use(this);
    this.#phase = "envelope";
    const pipeline = new CommandPipeline(session, this.pool.options.timeouts);
    this.#pipeline = pipeline;
    const lines = envelopeLines(this.#mail, session.capabilities);
    for (const line of lines.xforward) pipeline.send("XFORWARD", line);
    pipeline.send("MAIL", lines.mail);
    const faults: [Recipient, Reply][] = [];
    for (const recipient of this.#recipients) {
      if (recipient.state.phase === "final") continue;
      const fault = this.#sendRecipient(recipient, session);
      if (fault !== undefined) faults.push([recipient, fault]);
    }
    // Only now: what is settled lets the client's next commands in, and they must not overtake these.
    for (const [recipient, fault] of faults) this.#settleRecipient(recipient, fault);
    if (this.#wantsData && this.#phase === "envelope") this.#sendData();
  }

  onUnavailable(error: BackendUnavailable): void {
    this.#fail(unavailableReply(this.#events.session, error));
  }

  /** @returns why the store cannot take this recipient, and then is not asked */
  #sendRecipient(recipient: Recipient, { capabilities }: BackendSession): Reply | undefined {
    const fault = addressFault(this.#mail, recipient.address, capabilities);
    if (fault !== undefined) return fault;
    const { lowercaseDomain } = this.pool.options;
    this.#pipeline?.send(recipient, rcptLine(recipient.address, recipient.parameters, capabilities, lowercaseDomain));
    return undefined;
  }

  #sendData(): void {
    if (this.#recipients.some((recipient) => recipient.state.phase !== "final")) {
      this.#phase = "data";
      this.#pipeline?.send("DATA", "DATA\r\n");
    } else this.#leave();
  }

  #onXforwardReply(reply: Reply): void {
    // For logging only: what it says of us costs nobody his mail.
    if (reply.code >= 500) this.#events.onAlarm(this, `answered XFORWARD with ${describeReply(reply)}`);
  }

  #onMailReply(reply: Reply): void {
    if (isPositive(reply)) return;
    const refusal = this.#judge("MAIL", reply);
    this.#refusal = refusal;
    for (const recipient of this.#recipients) this.#settleRecipient(recipient, refusal);
  }

  #onRcptReply(recipient: Recipient, reply: Reply): void {
    if (recipient.state.phase === "final") return;
    if (isPositive(reply)) this.#accepted.push(recipient);
    if (reply.code < 400 && !isPositive(reply)) return this.#breakOff(`answered RCPT with ${describeReply(reply)}`);
    this.#settleRecipient(recipient, this.#judge("RCPT", reply));
  }

  /** The answer to RCPT; for a recipient accepted by a session since replaced, a refusal is its final reply. */
  #settleRecipient(recipient: Recipient, reply: Reply): void {
    if (recipient.state.phase === "asking") this.#events.onAnswered(recipient, reply);
    else if (recipient.state.phase === "accepted" && !isPositive(reply)) this.#events.onFinal(recipient, reply, false);
  }

  #onDataReply(reply: Reply): void {
    if (this.#accepted.length === 0) {
      // 354 without a recipient: only closing makes sure that the store takes nothing for an empty message.
      if (reply.code !== 354) return this.#leave();
      this.#session?.abort();
      return this.#end();
    }
    if (reply.code === 354) {
      this.#isReplaceable = false;
      this.#phase = "body";
      return this.#events.onDataSettled();
    }
    if (reply.code < 400) return this.#breakOff(`answered DATA with ${describeReply(reply)}`);
    const refusal = this.#judge("DATA", reply);
    for (const recipient of this.#accepted) this.#events.onFinal(recipient, refusal, false);
    this.#leave();
  }

  #onFinalReply(reply: Reply): void {
    const recipient = this.#accepted[this.#finalAt];
    if (recipient === undefined) return;
    if (reply.code < 400 && !isPositive(reply))
      return this.#breakOff(`answered the end of data with ${describeReply(reply)}`);
    this.#finalAt += 1;
    const isDone = this.#finalAt === this.#accepted.length;
    if (!isDone) this.#session?.expect("the end of data", this.pool.options.timeouts.finalMs);
    // Dovecot that shuts down saves the message, then says 421 4.3.2 instead of 250.
    if (reply.code === 421) this.#events.onFinal(recipient, lostReply(this.#names, describeReply(reply), true), true);
    else this.#events.onFinal(recipient, this.#judge("end of data", reply), false);
    if (!isDone) return;
    const session = this.#session;
    this.#end();
    if (reply.code === 421) session?.quit();
    else if (session !== undefined) this.pool.release(session, true);
  }

  /** The store broke the protocol: no reply of its can be trusted any more. */
  #breakOff(reason: string): void {
    this.#events.onAlarm(this, reason);
    this.#session?.abort();
    const isUncertain = this.#phase === "dot";
    if (this.#phase === "leaving") return this.#end();
    this.#fail(lostReply(this.#names, reason, isUncertain));
  }

  /** No session will answer any more: `reply` is the last word for all who wait. */
  #fail(reply: Reply): void {
    const isUncertain = this.#phase === "dot";
    const wasTakingBody = this.#phase === "body";
    this.#refusal = reply;
    this.#phase = "over";
    this.#session = undefined;
    for (const recipient of this.#recipients)
      if (recipient.state.phase === "asking") this.#events.onAnswered(recipient, reply);
      else if (recipient.state.phase === "accepted") this.#events.onFinal(recipient, reply, isUncertain);
    this.#events.onDataSettled();
    // It may have been the one that everybody waited for.
    if (wasTakingBody) this.#events.onDrain();
  }

  /** Hands the session back once its replies are in. */
  #leave(): void {
    const wasSettled = this.isDataSettled;
    this.#phase = "leaving";
    if (!wasSettled) this.#events.onDataSettled();
    if (this.#pipeline?.isDrained === false) return;
    const session = this.#session;
    this.#end();
    if (session !== undefined) this.pool.release(session, false);
  }

  #end(): void {
    if (this.#phase === "over") return;
    const wasSettled = this.isDataSettled;
    this.#phase = "over";
    this.#session = undefined;
    if (!wasSettled) this.#events.onDataSettled();
  }

  #judge(stage: VerdictStage, given: Reply): Reply {
    const verdict = judge(stage, given, this.#names);
    if (verdict.isOurFault) this.#events.onAlarm(this, `answered ${stage} with ${describeReply(given)}`);
    return verdict.reply;
  }
}

function isRefused({ state }: Recipient): boolean {
  return state.phase === "final" && !state.wasAccepted;
}
