import type { Log } from "../core/log.ts";
import { unreachable } from "../core/unreachable.ts";
import type { Command } from "../protocols/lmtp/command.ts";
import type { CommandDecoder } from "../protocols/lmtp/command-decoder.ts";
import { greeting, lhloReply } from "../protocols/lmtp/greeting.ts";
import { reply, type Reply } from "../protocols/lmtp/reply.ts";
import {
  INITIAL_STATE,
  onCommand,
  onTransactionEnd,
  type LmtpAction,
  type LmtpState,
  type MailCommand,
} from "../protocols/lmtp/server-session.ts";
import { ownReply } from "../relay/verdict.ts";
import { ChunkReader, DataReader, NO_RECIPIENTS } from "./message-reader.ts";
import { ReplyQueue } from "./reply-queue.ts";
import type { IncomingMessage, LmtpService } from "./service.ts";

export interface ClientSessionParts {
  readonly service: LmtpService;
  readonly log: Log;
  /** Id for log lines and replies. */
  readonly session: string;
  /** Undefined on a unix socket. */
  readonly address: string | undefined;
  readonly isTrusted: boolean;
  readonly decoder: CommandDecoder;
  /** Takes replies as the wire has them. */
  readonly write: (text: string) => void;
  /** Something was answered: there may be more to take, or to close. */
  readonly wake: () => void;
}

/**
 * What the next bytes of the client are. `waiting`: nothing is read until DATA is answered.
 * `ignored`: the session is over, what still comes has no meaning.
 */
type Input =
  | { readonly kind: "commands" }
  | { readonly kind: "waiting" }
  | { readonly kind: "data"; readonly reader: DataReader }
  | { readonly kind: "chunk"; readonly reader: ChunkReader; left: number; readonly isLast: boolean }
  | { readonly kind: "skip"; left: number }
  | { readonly kind: "ignored" };

/** Replies that may wait for stores before no more commands are read; more than any client pipelines for good reason. */
const MAX_PENDING_REPLIES = 1000;
/** Refused commands after which a client is no LMTP client. */
const MAX_BAD_COMMANDS = 100;

export const SHUTTING_DOWN = reply(421, "4.3.2", "Shutting down: closing");
/** DATA ends a group of commands (RFC 2920 section 3.1): what follows unasked could be commands as well as a message. */
const EARLY_BODY = "message sent before 354";

const COMMANDS: Input = { kind: "commands" };
const WAITING: Input = { kind: "waiting" };
const IGNORED: Input = { kind: "ignored" };

/** What one client says and hears: commands become messages, messages replies, replies go out in their order. */
export class ClientSession {
  readonly #parts: ClientSessionParts;
  readonly #decoder: CommandDecoder;
  readonly #replies: ReplyQueue;
  #state: LmtpState = INITIAL_STATE;
  #input: Input = COMMANDS;
  /** A command that waits for the replies before it. */
  #held: Command | undefined;
  /** MAIL was given; the message begins with the first RCPT, so that it goes by the configuration of that moment. */
  #mail: MailCommand | undefined;
  #message: IncomingMessage | undefined;
  #chunks: ChunkReader | undefined;
  /** Messages that are complete and wait for final replies. */
  readonly #finishing = new Set<IncomingMessage>();
  #badCommands = 0;
  #isStopping = false;
  #hasQuit = false;

  constructor(parts: ClientSessionParts) {
    this.#parts = parts;
    this.#decoder = parts.decoder;
    this.#replies = new ReplyQueue(parts.write);
    this.#replies.push(greeting(parts.service.announcement(parts.isTrusted).hostname, "mailshunt"));
  }

  /** Whether the client waits for us, and we for a store. */
  get isBusy(): boolean {
    return this.#input.kind === "waiting" || this.#replies.length > 0 || this.#message?.isCongested === true;
  }

  /** Whether more of the client's bytes would only lie about. */
  get isBlocked(): boolean {
    if (this.#input.kind === "ignored") return false;
    if (this.#replies.length >= MAX_PENDING_REPLIES || this.#message?.isCongested === true) return true;
    // While DATA waits for its answer, what comes is too early: one look at it is enough.
    return this.#input.kind === "waiting" && this.#decoder.hasInput;
  }

  /** Nothing is read any more; the last replies may still be due. */
  get isClosed(): boolean {
    return this.#input.kind === "ignored";
  }

  /** The client has said QUIT, and nothing behind it. */
  get hasQuit(): boolean {
    return this.#hasQuit && !this.#decoder.hasInput;
  }

  /** Every reply is given out. */
  get isAnswered(): boolean {
    return this.#replies.length === 0;
  }

  /** Whether what comes next is a command, whose reply the client must be able to take. */
  get isReadingCommands(): boolean {
    return this.#input.kind === "commands";
  }

  /** From now on no message begins; the session closes as soon as none is under way. */
  stop(): void {
    this.#isStopping = true;
    this.closeWhenIdle();
  }

  /** The client sends nothing more. */
  onAllSaid(): void {
    this.#message?.onAllSaid();
  }

  closeWhenIdle(): void {
    const isIdle = this.#message === undefined && this.#finishing.size === 0 && this.#input.kind === "commands";
    if (this.#isStopping && isIdle) this.close(SHUTTING_DOWN);
  }

  /** Takes back what is unfinished; what is complete is still answered, then `last`. */
  close(last?: Reply): void {
    if (this.#input.kind === "ignored") return;
    this.#input = IGNORED;
    if (last !== undefined) this.#replies.push(last);
    this.#dropMessage();
  }

  closeForSilence(): void {
    this.close(this.#lastWord("4.4.2", "idle for too long"));
  }

  /** The client hears nothing any more. */
  abandon(): void {
    this.#input = IGNORED;
    this.#dropMessage();
    for (const message of this.#finishing) message.abort();
  }

  /** Takes one command, or some bytes of a message. @returns whether there may be more to take */
  takeNext(): boolean {
    switch (this.#input.kind) {
      case "waiting":
      case "ignored":
        return false;
      case "commands": {
        if (this.#replies.length >= MAX_PENDING_REPLIES) return false;
        const command = this.#held ?? this.#decoder.next();
        // What ends a message waits until every RCPT before it has its answer.
        this.#held = command !== undefined && endsMessage(command) && this.#replies.length > 0 ? command : undefined;
        if (command === undefined || this.#held !== undefined) return false;
        const { isTrusted, service } = this.#parts;
        const { maxMessageBytes } = service.limits;
        const step = onCommand(this.#state, command, { isTrusted, maxMessageBytes });
        this.#state = step.state;
        if (command.kind === "quit") this.#hasQuit = true;
        for (const action of step.actions) {
          // An action may have closed the session: the replies of the others are not owed.
          if (this.isClosed) break;
          this.#perform(action);
        }
        if (command.kind === "data" && this.isReadingCommands && this.#decoder.hasInput)
          this.close(this.#lastWord("4.5.0", EARLY_BODY));
        return true;
      }
      case "data": {
        const bytes = this.#decoder.take();
        if (bytes === undefined) return false;
        const rest = this.#input.reader.take(bytes);
        if (rest !== undefined) {
          this.#decoder.unread(rest);
          this.#finish();
        }
        return true;
      }
      case "chunk":
      case "skip":
        return this.#takeCounted(this.#input);
      default:
        return unreachable(this.#input);
    }
  }

  #takeCounted(input: Extract<Input, { kind: "chunk" | "skip" }>): boolean {
    if (input.left > 0) {
      const bytes = this.#decoder.take();
      if (bytes === undefined) return false;
      const piece = bytes.subarray(0, input.left);
      this.#decoder.unread(bytes.subarray(piece.length));
      input.left -= piece.length;
      if (input.kind === "chunk") input.reader.take(piece);
    }
    if (input.left === 0) {
      this.#input = COMMANDS;
      if (input.kind === "chunk") this.#endChunk(input.reader, input.isLast);
    }
    return true;
  }

  #perform(action: LmtpAction): void {
    switch (action.kind) {
      case "reply":
        this.#replies.push(action.reply);
        if (action.reply.code >= 500) this.#countBadCommand();
        return;
      case "greet":
        return this.#replies.push(lhloReply(this.#parts.service.announcement(this.#parts.isTrusted)));
      case "begin":
        if (this.#isStopping) return this.close(SHUTTING_DOWN);
        this.#mail = action.mail;
        return;
      case "recipient":
        return this.#addRecipient(action);
      case "data":
        return this.#onDataCommand();
      case "chunk":
        return this.#onChunkCommand(action.bytes, action.isLast);
      case "skip":
        this.#input = { kind: "skip", left: action.bytes };
        return;
      case "abort":
        return this.#dropMessage();
      case "close":
        return this.close();
      default:
        unreachable(action);
    }
  }

  #addRecipient({ recipient, parameters }: Extract<LmtpAction, { kind: "recipient" }>): void {
    if (this.#mail === undefined) throw new Error("RCPT without MAIL passed the session");
    this.#message ??= this.#parts.service.begin(this.#mail, this.#parts, this.#parts.wake);
    const answer = this.#replies.reserve();
    this.#message.addRecipient(recipient.text, parameters, (given) => {
      answer(given);
      this.#parts.wake();
    });
  }

  #onDataCommand(): void {
    const message = this.#message;
    if (message === undefined) return this.#replies.push(NO_RECIPIENTS);
    this.#input = WAITING;
    const answer = this.#replies.reserve();
    message.startData((given) => {
      if (this.#message !== message) return answer(given);
      const isEarly = this.#decoder.hasInput;
      if (given.code !== 354) {
        // MAIL and RCPT are used up with the message: it has had its answer.
        this.#endMessage();
        answer(given);
        if (isEarly) this.close(this.#lastWord("4.5.0", EARLY_BODY));
      } else if (isEarly) {
        answer(this.#lastWord("4.5.0", EARLY_BODY));
        this.close();
      } else {
        this.#input = { kind: "data", reader: new DataReader(message, this.#parts.service.limits) };
        answer(given);
      }
      this.#parts.wake();
    });
  }

  #onChunkCommand(bytes: number, isLast: boolean): void {
    const message = this.#message;
    if (this.#chunks !== undefined) {
      this.#input = { kind: "chunk", reader: this.#chunks, left: bytes, isLast };
      return;
    }
    const reader = new ChunkReader(message, this.#parts.service.limits);
    this.#chunks = reader;
    if (message === undefined) {
      this.#input = { kind: "chunk", reader, left: bytes, isLast };
      return;
    }
    this.#input = WAITING;
    message.startData((given) => {
      if (this.#chunks !== reader) return;
      if (given.code !== 354) reader.refuse(given);
      this.#input = { kind: "chunk", reader, left: bytes, isLast };
      this.#parts.wake();
    });
  }

  #endChunk(reader: ChunkReader, isLast: boolean): void {
    const end = reader.end(isLast);
    if (end.kind === "complete") return this.#finish();
    for (const given of end.replies) this.#replies.push(given);
    if (end.isLast) this.#endMessage();
  }

  #finish(): void {
    const message = this.#message;
    if (message === undefined) throw new Error("the end of a message that never began");
    const answers: ((reply: Reply) => void)[] = [];
    while (answers.length < message.acceptedCount) answers.push(this.#replies.reserve());
    let left = answers.length;
    this.#finishing.add(message);
    this.#endMessage();
    message.finish((index, final) => {
      left -= 1;
      if (left === 0) this.#finishing.delete(message);
      answers[index]?.(final);
      this.#parts.wake();
    });
  }

  /** The message is answered or out of the client's hands: the next MAIL begins another. */
  #endMessage(): void {
    this.#message = undefined;
    this.#mail = undefined;
    this.#chunks = undefined;
    this.#state = onTransactionEnd(this.#state);
    this.#input = COMMANDS;
  }

  #dropMessage(): void {
    const message = this.#message;
    this.#message = undefined;
    this.#mail = undefined;
    this.#chunks = undefined;
    message?.abort();
  }

  /** Why we close, for the log and for the client. */
  #lastWord(enhanced: string, why: string): Reply {
    const { log, session } = this.#parts;
    log.write({ kind: "message", level: "info", part: "lmtp", session, text: `closing: ${why}` });
    return ownReply(session, 421, enhanced, `closing: ${why}`);
  }

  #countBadCommand(): void {
    this.#badCommands += 1;
    if (this.#badCommands === MAX_BAD_COMMANDS) this.close(this.#lastWord("4.7.0", "too many errors"));
  }
}

function endsMessage({ kind }: Command): boolean {
  return kind === "rset" || kind === "quit" || kind === "lhlo";
}
