import type { Parameters } from "../protocols/lmtp/command.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";
import type { Delivery, DeliveryStage } from "./deliveries.ts";
import type { StoreLeg } from "./store-leg.ts";

/** Where a recipient stands: `final` holds the last word on it, its RCPT reply or the one after the message. */
export type RecipientState =
  | { readonly phase: "asking" }
  | { readonly phase: "accepted" }
  | {
      readonly phase: "final";
      readonly reply: Reply;
      readonly wasAccepted: boolean;
      /** The store may hold the message, whatever the reply says. */
      readonly isUncertain: boolean;
    };

/** The message that a recipient belongs to. */
export interface RecipientMessage {
  /** Id of the client's session. */
  readonly session: string;
  /** The final dot was sent: nothing takes the message back. */
  readonly isPastDot: boolean;
  onAwaited(): void;
  cut(recipient: Recipient, reason: string): void;
}

const ASKING: RecipientState = { phase: "asking" };

/**
 * One RCPT of a transaction. The same address twice is two of them (RFC 2033 section 4.2).
 *
 * A class for its getters: V8 gives each object literal that has some a hidden class of its own, which keeps the whole
 * message alive until the next full garbage collection.
 */
export class Recipient implements Delivery {
  /** As it came, without brackets, one character a byte. */
  readonly address: string;
  readonly parameters: Parameters;
  readonly user: string;
  readonly sinceMs: number;
  readonly answer: (reply: Reply) => void;
  readonly #message: RecipientMessage;
  state: RecipientState = ASKING;
  answeredMs: number;
  /** Its store's part in the message, once it is routed to one. */
  leg: StoreLeg | undefined = undefined;

  constructor(
    given: Pick<Recipient, "address" | "parameters" | "user" | "sinceMs" | "answer">,
    message: RecipientMessage,
  ) {
    this.address = given.address;
    this.parameters = given.parameters;
    this.user = given.user;
    this.sinceMs = given.sinceMs;
    this.answer = given.answer;
    this.answeredMs = given.sinceMs;
    this.#message = message;
  }

  get session(): string {
    return this.#message.session;
  }

  get backend(): string | undefined {
    return this.leg?.pool.options.name;
  }

  get stage(): DeliveryStage {
    if (this.#message.isPastDot) return "dot";
    return this.state.phase === "asking" ? "asking" : "message";
  }

  onAwaited(): void {
    this.#message.onAwaited();
  }

  cut(reason: string): void {
    this.#message.cut(this, reason);
  }
}
