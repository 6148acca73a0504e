import type { Parameters } from "../protocols/lmtp/command.ts";
import type { Reply } from "../protocols/lmtp/reply.ts";

/** Where a recipient stands: `final` holds the last word on it, its RCPT reply or the one after the message. */
export type RecipientState =
  | { readonly phase: "asking" }
  | { readonly phase: "accepted" }
  | { readonly phase: "final"; readonly reply: Reply; readonly wasAccepted: boolean };

/** One RCPT of a transaction. The same address twice is two of them (RFC 2033 section 4.2). */
export interface Recipient {
  /** As it came, without brackets, one character a byte. */
  readonly address: string;
  readonly parameters: Parameters;
  readonly askedMs: number;
  readonly answer: (reply: Reply) => void;
  state: RecipientState;
  answeredMs: number;
  /** Which of the final replies is this recipient's, counted from 0; only once DATA is answered. */
  finalIndex: number;
}
