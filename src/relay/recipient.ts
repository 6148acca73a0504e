import type { Parameters } from "../protocols/lmtp/command.ts";
import type { Delivery } from "./deliveries.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";

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

/** One RCPT of a transaction. The same address twice is two of them (RFC 2033 section 4.2). */
export interface Recipient {
  /** As it came, without brackets, one character a byte. */
  readonly address: string;
  readonly parameters: Parameters;
  readonly askedMs: number;
  readonly answer: (reply: Reply) => void;
  readonly delivery: Delivery;
  state: RecipientState;
  answeredMs: number;
}
