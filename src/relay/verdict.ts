import type { BackendUnavailable } from "../backends/backend-unavailable.ts";
import { unreachable } from "../core/unreachable.ts";
import { describeReply, isPositive, reply, type Reply } from "../protocols/lmtp/reply.ts";

/** What a store's reply means for a recipient. */
export interface Verdict {
  /** For the client: positive, or with a code that says the truth about the recipient. */
  readonly reply: Reply;
  /** The store refused us, not the mail: the operator must hear of it. */
  readonly isOurFault: boolean;
}

/** Whom a reply of our own speaks of, and to whom. */
export interface ReplyNames {
  readonly backend: string;
  readonly session: string;
}

/** Stages at which a store can refuse a sender, a recipient or content. */
export type VerdictStage = "MAIL" | "RCPT" | "DATA" | "end of data";

/** Syntax, sequence, parameters and login: a store that says these to us speaks of us, not of the mail. RFC 5321 4.2.3, 4954. */
const ABOUT_US = new Set([500, 501, 502, 503, 504, 530, 534, 535, 538, 555]);

/**
 * Turns a store's reply into ours. A 2xx, 4xx or a 5xx about the mail passes; whatever is about us, breaks the protocol
 * or announces a closing connection delays the mail instead.
 */
export function judge(stage: VerdictStage, given: Reply, names: ReplyNames): Verdict {
  const { code } = given;
  if (isPositive(given) || (code >= 400 && code < 500 && code !== 421)) return passOn(given);
  if (code >= 500 && !ABOUT_US.has(code)) return passOn(given);
  const text = `backend ${names.backend} answered ${stage} with ${describeReply(given)}`;
  return { reply: ownReply(names.session, 451, code === 421 ? "4.4.2" : "4.3.0", text), isOurFault: code !== 421 };
}

/** A reply of our own making names the session, under which the log tells more. */
export function ownReply(session: string, code: number, enhanced: string, text: string): Reply {
  return reply(code, enhanced, `${text} (session ${session})`);
}

function passOn(given: Reply): Verdict {
  const enhanced = given.enhanced ?? `${Math.floor(given.code / 100)}.0.0`;
  return { reply: { ...given, enhanced }, isOurFault: false };
}

/** The store's side of a transaction broke. `isUncertain`: after the final dot, so that it may hold the message. */
export function lostReply(names: ReplyNames, reason: string, isUncertain: boolean): Reply {
  const more = isUncertain ? ", after the end of data: the message may be delivered twice" : "";
  return ownReply(names.session, 451, "4.4.2", `backend ${names.backend}: ${reason}${more}`);
}

export function unavailableReply(session: string, error: BackendUnavailable): Reply {
  return ownReply(
    session,
    451,
    unavailableCode(error.why),
    `backend ${error.backend} is unavailable: ${error.message}`,
  );
}

function unavailableCode(why: BackendUnavailable["why"]): string {
  switch (why) {
    case "unreachable":
      return "4.4.1";
    case "rejected":
      return "4.3.5";
    case "loop":
      return "4.4.6";
    case "busy":
    case "closing":
    case "disabled":
      return "4.3.2";
    default:
      return unreachable(why);
  }
}
