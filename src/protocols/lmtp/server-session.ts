import { unreachable } from "../../core/unreachable.ts";
import { type Command, type Parameters } from "./command.ts";
import { type Path } from "./path.ts";
import { reply, type Reply } from "./reply.ts";
import { type XforwardAttributes } from "./xforward.ts";

export interface MailCommand {
  readonly sender: Path;
  readonly parameters: Parameters;
  /** What the client said of its own client since the last transaction. */
  readonly xforward: XforwardAttributes;
}

/** Where an LMTP session stands between two commands. RFC 5321 section 4.1.4, RFC 2033, RFC 3030. */
export type LmtpState =
  | { readonly phase: "connected" }
  | { readonly phase: "idle"; readonly client: string; readonly xforward: XforwardAttributes }
  | { readonly phase: "envelope"; readonly client: string }
  /** A BDAT was taken: only BDAT may follow until the last one, or RSET. */
  | { readonly phase: "chunking"; readonly client: string }
  /** A BDAT failed or was the last: chunks are read and refused until RSET. RFC 3030 section 2. */
  | { readonly phase: "closing" };

export type LmtpAction =
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "greet"; readonly client: string }
  | { readonly kind: "begin"; readonly mail: MailCommand }
  | { readonly kind: "recipient"; readonly recipient: Path; readonly parameters: Parameters }
  | { readonly kind: "data" }
  | { readonly kind: "chunk"; readonly bytes: number; readonly isLast: boolean }
  /** The bytes of a BDAT that has no meaning here: read them and throw them away. */
  | { readonly kind: "skip"; readonly bytes: number }
  | { readonly kind: "abort" }
  | { readonly kind: "close" };

export interface LmtpStep {
  readonly state: LmtpState;
  readonly actions: readonly LmtpAction[];
}

export interface LmtpSessionOptions {
  /** Whether XFORWARD is taken from this client. */
  readonly isTrusted: boolean;
  /** Largest message that may be announced by SIZE=; undefined: any. */
  readonly maxMessageBytes: number | undefined;
}

const NO_ATTRIBUTES: XforwardAttributes = new Map();
export const INITIAL_STATE: LmtpState = { phase: "connected" };

const OK = reply(250, "2.0.0", "OK");
const BYE = reply(221, "2.0.0", "Bye");
const SENDER_OK = reply(250, "2.1.0", "Sender ok");
const LHLO_FIRST = reply(503, "5.5.1", "Say LHLO first");
const MAIL_FIRST = reply(503, "5.5.1", "Say MAIL first");
const NESTED_MAIL = reply(503, "5.5.1", "Sender already given");
const IN_TRANSACTION = reply(503, "5.5.1", "Not during a transaction");
const AFTER_BDAT = reply(503, "5.5.1", "Not after BDAT");
const TOO_BIG = reply(552, "5.3.4", "Message is larger than this server takes");
const XFORWARD_REFUSED = reply(550, "5.7.0", "XFORWARD is taken from trusted clients only");

/** What one command does to a session. Never fails: what a client does wrong has a reply. */
export function onCommand(state: LmtpState, command: Command, options: LmtpSessionOptions): LmtpStep {
  if (state.phase === "closing") return { state, actions: [] };
  switch (command.kind) {
    case "answered":
    case "noop":
      return { state, actions: [{ kind: "reply", reply: command.kind === "noop" ? OK : command.reply }] };
    case "broken":
      return {
        state: { phase: "closing" },
        actions: [{ kind: "abort" }, { kind: "reply", reply: command.reply }, { kind: "close" }],
      };
    case "quit":
      return {
        state: { phase: "closing" },
        actions: [{ kind: "abort" }, { kind: "reply", reply: BYE }, { kind: "close" }],
      };
    case "lhlo": {
      const idle: LmtpState = { phase: "idle", client: command.client, xforward: NO_ATTRIBUTES };
      return { state: idle, actions: [{ kind: "abort" }, { kind: "greet", client: command.client }] };
    }
    case "rset":
      return { state: toIdle(state), actions: [{ kind: "abort" }, { kind: "reply", reply: OK }] };
    case "xforward":
      return onXforward(state, command.attributes, options);
    case "mail":
      if (state.phase === "connected") return refuse(state, LHLO_FIRST);
      if (state.phase !== "idle") return refuse(state, NESTED_MAIL);
      if (Number(command.parameters.get("SIZE") ?? 0) > (options.maxMessageBytes ?? Infinity))
        return refuse(state, TOO_BIG);
      return {
        state: { phase: "envelope", client: state.client },
        actions: [
          {
            kind: "begin",
            mail: { sender: command.sender, parameters: command.parameters, xforward: state.xforward },
          },
          { kind: "reply", reply: SENDER_OK },
        ],
      };
    case "rcpt":
      if (state.phase === "chunking") return refuse(state, AFTER_BDAT);
      if (state.phase !== "envelope") return refuse(state, state.phase === "idle" ? MAIL_FIRST : LHLO_FIRST);
      return {
        state,
        actions: [{ kind: "recipient", recipient: command.recipient, parameters: command.parameters }],
      };
    case "data":
      if (state.phase === "chunking") return refuse(state, AFTER_BDAT);
      if (state.phase !== "envelope") return refuse(state, state.phase === "idle" ? MAIL_FIRST : LHLO_FIRST);
      return { state, actions: [{ kind: "data" }] };
    case "bdat":
      if (state.phase === "connected" || state.phase === "idle")
        return {
          state,
          actions: [
            { kind: "skip", bytes: command.bytes },
            { kind: "reply", reply: state.phase === "idle" ? MAIL_FIRST : LHLO_FIRST },
          ],
        };
      return {
        state: { phase: "chunking", client: state.client },
        actions: [{ kind: "chunk", bytes: command.bytes, isLast: command.isLast }],
      };
    default:
      return unreachable(command);
  }
}

/** The transaction is over, its replies are given or on their way. */
export function onTransactionEnd(state: LmtpState): LmtpState {
  return toIdle(state);
}

function onXforward(state: LmtpState, attributes: XforwardAttributes, options: LmtpSessionOptions): LmtpStep {
  if (state.phase === "connected") return refuse(state, LHLO_FIRST);
  if (state.phase !== "idle") return refuse(state, IN_TRANSACTION);
  if (!options.isTrusted) return refuse(state, XFORWARD_REFUSED);
  const xforward = new Map([...state.xforward, ...attributes]);
  return { state: { ...state, xforward }, actions: [{ kind: "reply", reply: OK }] };
}

function toIdle(state: LmtpState): LmtpState {
  if (state.phase === "connected" || state.phase === "closing") return state;
  return { phase: "idle", client: state.client, xforward: NO_ATTRIBUTES };
}

function refuse(state: LmtpState, refusal: Reply): LmtpStep {
  return { state, actions: [{ kind: "reply", reply: refusal }] };
}
