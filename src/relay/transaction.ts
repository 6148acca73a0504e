import type { Clock, Timer } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Parameters } from "../protocols/lmtp/command.ts";
import { isPositive, reply, type Reply } from "../protocols/lmtp/reply.ts";
import type { MailCommand } from "../protocols/lmtp/server-session.ts";
import type { Route } from "../routing/route.ts";
import type { Deliveries, Delivery } from "./deliveries.ts";
import { deliveryRecord } from "./delivery-record.ts";
import { ParkingBudget } from "./parking.ts";
import type { Parking } from "./parking.ts";
import { Recipient, type RecipientMessage } from "./recipient.ts";
import { routeReply } from "./route-reply.ts";
import { StoreLeg, type LegEvents } from "./store-leg.ts";
import { ownReply } from "./verdict.ts";
import type { World } from "./world.ts";

export interface TransactionContext {
  readonly world: World;
  /** Id of the client's session. */
  readonly session: string;
  /** Its address, or a word for all of a unix socket. */
  readonly client: string;
  readonly parking: Parking;
  readonly clock: Clock;
  readonly log: Log;
  readonly deliveries: Deliveries;
  /** The store may hold the message of this delivery, or may yet take it. Resolves when that is written down; never rejects. */
  readonly onUncertain: (delivery: Delivery) => Promise<void>;
  /** Stores take bytes of the body again. */
  onDrain(): void;
}

const GO_AHEAD = reply(354, undefined, "End data with <CR><LF>.<CR><LF>");
const NO_RECIPIENTS = reply(503, "5.5.1", "No valid recipients");
const TAKEN_BACK = reply(451, "4.3.0", "The message was taken back");
const TOO_MANY = reply(452, "4.5.3", "Too many recipients");

/** `over`: no reply is due and nothing can be delivered by it any more. */
type Phase = "envelope" | "data" | "body" | "dot" | "over";

/** One message on its way from one client to as many stores as its recipients live in. RFC 2033 section 4.2. */
export class Transaction implements LegEvents, RecipientMessage {
  readonly #context: TransactionContext;
  readonly #mail: MailCommand;
  readonly #recipients: Recipient[] = [];
  readonly #legs = new Map<string, StoreLeg>();
  #phase: Phase = "envelope";
  #isAdmitted = false;
  #unrouted = 0;
  #unanswered = 0;
  #dataTimer: Timer | undefined;
  #onDataReply: (reply: Reply) => void = () => undefined;
  /** Recipients that are owed a final reply, in order of their RCPT. */
  #accepted: Recipient[] = [];
  #onFinalReply: (index: number, reply: Reply) => void = () => undefined;
  /** How many of them have had it. */
  #finalsGiven = 0;
  #isClientGone = false;
  readonly #parking: ParkingBudget;

  constructor(mail: MailCommand, context: TransactionContext) {
    this.#mail = mail;
    this.#context = context;
    this.#parking = new ParkingBudget(context.parking, context.client);
  }

  /** Id of the client's session, for replies of our own. */
  get session(): string {
    return this.#context.session;
  }

  get isPastDot(): boolean {
    return this.#phase === "dot";
  }

  /** Whether a store cannot take more of the body just now. */
  get isCongested(): boolean {
    if (this.#phase !== "body") return false;
    for (const leg of this.#legs.values()) if (leg.isCongested) return true;
    return false;
  }

  /** Recipients that are owed a final reply once the message is complete. */
  get acceptedCount(): number {
    return this.#accepted.length;
  }

  /** @param answer called once, maybe before this returns */
  addRecipient(address: string, parameters: Parameters, answer: (reply: Reply) => void): void {
    const { world, clock } = this.#context;
    if (this.#recipients.length >= world.lmtp.maxRecipients) return answer(TOO_MANY);
    if (!this.#isAdmitted) {
      this.#isAdmitted = true;
      world.admit();
    }
    const user = world.router.userKeyOf(address);
    const recipient = new Recipient({ address, parameters, user, sinceMs: clock.nowMs(), answer }, this);
    this.#recipients.push(recipient);
    this.#unanswered += 1;
    this.#route(recipient);
  }

  /** Counts the delivery and reads the hold in one turn, so that whoever holds the user waits for it or is seen by it. */
  #route(recipient: Recipient): void {
    this.#context.deliveries.add(recipient);
    const route = this.#context.world.router.route(recipient.address);
    if (!(route instanceof Promise)) return this.#onRoute(recipient, route);
    this.#unrouted += 1;
    void route.then((late) => {
      this.#unrouted -= 1;
      this.#onRoute(recipient, late);
      this.#startLegs();
    });
  }

  /** Waits for the end of the hold. What waits is not under way: the drain would wait for it. */
  #park(recipient: Recipient, route: Route): boolean {
    if (route.kind !== "hold" || route.source.kind !== "hold") return false;
    const isParked = this.#parking.park(route.userKey, (end) => {
      this.#unrouted -= 1;
      if (this.#phase === "over" || recipient.state.phase !== "asking") return;
      if (end === "released" && !this.#context.world.isReplaced) this.#route(recipient);
      else this.onAnswered(recipient, routeReply(route, this.#context.session));
      this.#startLegs();
    });
    if (!isParked) return false;
    this.#unrouted += 1;
    this.#context.deliveries.remove(recipient);
    return true;
  }

  /**
   * The client wants to send the message.
   * @param onReply called once with 354, or with the refusal of the whole message: then the transaction is over
   */
  startData(onReply: (reply: Reply) => void): void {
    const { clock, world } = this.#context;
    this.#phase = "data";
    this.#onDataReply = onReply;
    this.#dataTimer = clock.after(world.lmtp.dataTimeoutMs, () => {
      for (const leg of this.#legs.values()) leg.giveUp("no answer to DATA in time");
    });
    this.#startLegs();
  }

  /** @param pieces of the body, dot-stuffed */
  write(pieces: readonly Buffer[]): void {
    for (const leg of this.#legs.values()) for (const piece of pieces) leg.write(piece);
  }

  /** Our own rules forbid the message: no store gets its end, every recipient gets `refusal`. */
  refuseBody(refusal: Reply): void {
    for (const recipient of this.#accepted)
      if (recipient.state.phase === "accepted") this.#settle(recipient, refusal, false);
    for (const leg of this.#legs.values()) leg.abort();
  }

  /** The message is complete. @param onFinalReply called once for each accepted recipient, in their order */
  finish(onFinalReply: (index: number, reply: Reply) => void): void {
    this.#phase = "dot";
    this.#onFinalReply = onFinalReply;
    for (const leg of this.#legs.values()) leg.finish();
    this.#giveFinals();
  }

  /** Who cannot send the message any more has nothing to wait for. */
  onAllSaid(): void {
    this.#parking.spend();
  }

  /** The client takes the message back or has gone. After the final dot the stores' replies are awaited all the same. */
  abort(): void {
    if (this.#phase === "dot") this.#isClientGone = true;
    else this.#end();
  }

  nowMs(): number {
    return this.#context.clock.nowMs();
  }

  /** A drain waits for one of the recipients, so that none of them may wait for another drain. */
  onAwaited(): void {
    this.#parking.spend();
  }

  /** All who share the session with the store share its end. */
  cut(recipient: Recipient, reason: string): void {
    if (this.#phase === "over" || this.#phase === "dot") return;
    const { leg } = recipient;
    if (leg === undefined) this.onAnswered(recipient, ownReply(this.#context.session, 451, "4.2.1", reason));
    else leg.cutOff(reason);
  }

  #onRoute(recipient: Recipient, route: Route): void {
    // While it was looked up the message, or this recipient, may have been given up.
    if (this.#phase === "over" || recipient.state.phase !== "asking") return;
    if (this.#park(recipient, route)) return;
    if (route.kind !== "deliver") return this.onAnswered(recipient, routeReply(route, this.#context.session));
    let leg = this.#legs.get(route.backend);
    const isNew = leg === undefined;
    if (leg === undefined) {
      const pool = this.#context.world.pools.get(route.backend);
      if (pool === undefined) throw new Error(`router chose backend ${route.backend}, which has no pool`);
      leg = new StoreLeg(pool, this.#mail, this);
      this.#legs.set(route.backend, leg);
    }
    recipient.leg = leg;
    leg.addRecipient(recipient);
    if (isNew) leg.open();
  }

  onAnswered(recipient: Recipient, answer: Reply): void {
    if (this.#phase === "over" || recipient.state.phase !== "asking") return;
    recipient.answeredMs = this.#context.clock.nowMs();
    recipient.state = isPositive(answer)
      ? { phase: "accepted" }
      : { phase: "final", reply: answer, wasAccepted: false, isUncertain: false };
    this.#unanswered -= 1;
    if (!isPositive(answer)) {
      this.#log(recipient, answer, false);
      this.#context.deliveries.remove(recipient);
    }
    recipient.answer(answer);
    this.#checkData();
  }

  onFinal(recipient: Recipient, final: Reply, isUncertain: boolean): void {
    if (this.#phase === "over" || recipient.state.phase !== "accepted") return;
    this.#settle(recipient, final, isUncertain);
    if (this.#phase === "dot") this.#giveFinals();
  }

  #settle(recipient: Recipient, final: Reply, isUncertain: boolean): void {
    recipient.state = { phase: "final", reply: final, wasAccepted: true, isUncertain };
    const { deliveries, onUncertain } = this.#context;
    // A drain that ends must find it written down.
    if (isUncertain) void onUncertain(recipient).then(() => deliveries.remove(recipient));
    else deliveries.remove(recipient);
  }

  onDataSettled(): void {
    this.#checkData();
  }

  onDrain(): void {
    this.#context.onDrain();
  }

  onAlarm(leg: StoreLeg, problem: string): void {
    const { log, session } = this.#context;
    const text = `${leg.pool.options.name}: ${problem}`;
    log.write({ kind: "message", level: "error", part: "backend", session, text });
  }

  #startLegs(): void {
    if (this.#phase !== "data" || this.#unrouted > 0) return;
    for (const leg of this.#legs.values()) leg.startData();
    this.#checkData();
  }

  /** Answers DATA once every recipient is answered and every store that took one has said 354 or never will. */
  #checkData(): void {
    if (this.#phase !== "data" || this.#unrouted > 0 || this.#unanswered > 0) return;
    const accepted = this.#recipients.filter((recipient) => wasAccepted(recipient));
    if (accepted.some(({ leg }) => leg?.isDataSettled === false)) return;
    this.#dataTimer?.cancel();
    this.#accepted = accepted;
    if (accepted.some((recipient) => recipient.state.phase === "accepted")) {
      this.#phase = "body";
      return this.#onDataReply(GO_AHEAD);
    }
    const refusals = accepted.flatMap(({ state }) => (state.phase === "final" ? [state.reply] : []));
    // One reply speaks for all: a 4xx among them delays those that it need not, which harms nobody.
    const refusal = refusals.find((final) => final.code < 500) ?? refusals[0] ?? NO_RECIPIENTS;
    for (const recipient of accepted) this.#log(recipient, refusal, false);
    const answer = this.#onDataReply;
    this.#phase = "envelope";
    this.#end();
    answer(refusal);
  }

  /** Gives every final reply that is known, as are all before it: what a client that has gone did not hear is uncertain. */
  #giveFinals(): void {
    for (;;) {
      const recipient = this.#accepted[this.#finalsGiven];
      if (recipient === undefined) return this.#end();
      if (recipient.state.phase !== "final") return;
      const { reply: final, isUncertain } = recipient.state;
      const isUntold = this.#isClientGone && isPositive(final);
      this.#log(recipient, final, isUncertain || isUntold);
      this.#finalsGiven += 1;
      if (!this.#isClientGone) this.#onFinalReply(this.#finalsGiven - 1, final);
    }
  }

  #end(): void {
    if (this.#phase === "over") return;
    const wasAskingData = this.#phase === "data";
    this.#phase = "over";
    this.#dataTimer?.cancel();
    this.#parking.spend();
    for (const leg of this.#legs.values()) leg.abort();
    for (const recipient of this.#recipients)
      if (recipient.state.phase !== "final") this.#context.deliveries.remove(recipient);
    if (this.#isAdmitted) this.#context.world.leave();
    if (this.#unanswered > 0)
      for (const recipient of this.#recipients) if (recipient.state.phase === "asking") recipient.answer(TAKEN_BACK);
    if (wasAskingData) this.#onDataReply(TAKEN_BACK);
  }

  #log(recipient: Recipient, final: Reply, isUncertain: boolean): void {
    const { session, clock, log } = this.#context;
    log.write(
      deliveryRecord({ session, mail: this.#mail, recipient, reply: final, nowMs: clock.nowMs(), isUncertain }),
    );
  }
}

function wasAccepted({ state }: Recipient): boolean {
  return state.phase === "accepted" || (state.phase === "final" && state.wasAccepted);
}
