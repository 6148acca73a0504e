import type { Clock } from "../core/clock.ts";
import type { Log } from "../core/log.ts";
import type { Parameters } from "../protocols/lmtp/command.ts";
import { describeReply, isPositive, type Reply } from "../protocols/lmtp/reply.ts";
import type { MailCommand } from "../protocols/lmtp/server-session.ts";
import { MaildirContent } from "./maildir-content.ts";
import type { Content, Spool } from "./spool.ts";
import {
  badName,
  failed,
  GO_AHEAD,
  NO_RECIPIENTS,
  overQuota,
  RECIPIENT_OK,
  SAVED,
  TOO_MANY,
  unknownUser,
} from "./store-replies.ts";
import type { MailboxAnswer, Store } from "./store.ts";

export interface StoreMessageContext {
  readonly store: Store;
  readonly session: string;
  readonly clock: Clock;
  readonly log: Log;
  onDrain(): void;
}

interface StoreRecipient {
  readonly address: string;
  /** undefined: refused, or not known yet. */
  maildir: string | undefined;
  readonly askedMs: number;
  answeredMs: number;
}

/** Copies of one message written at once: each waits for the disk twice. */
const PARALLEL_COPIES = 8;

/** One message on its way into Maildirs. */
export class StoreMessage {
  readonly #context: StoreMessageContext;
  readonly #mail: MailCommand;
  readonly #recipients: StoreRecipient[] = [];
  /** Mailboxes are looked for one after the other. */
  #lookups: Promise<void> = Promise.resolve();
  #accepted: StoreRecipient[] = [];
  #content = new MaildirContent();
  #spool: Spool | undefined;
  #refusal: Reply | undefined;
  #isOver = false;

  constructor(mail: MailCommand, context: StoreMessageContext) {
    this.#mail = mail;
    this.#context = context;
  }

  get acceptedCount(): number {
    return this.#accepted.length;
  }

  get isCongested(): boolean {
    return this.#spool?.isCongested === true;
  }

  addRecipient(address: string, _parameters: Parameters, answer: (reply: Reply) => void): void {
    const { store, clock } = this.#context;
    if (this.#recipients.length >= store.options.maxRecipients) return answer(TOO_MANY);
    const askedMs = clock.nowMs();
    const recipient: StoreRecipient = { address, maildir: undefined, askedMs, answeredMs: askedMs };
    this.#recipients.push(recipient);
    this.#lookups = this.#lookups.then(async () => {
      const given = await this.#ask(recipient);
      recipient.answeredMs = clock.nowMs();
      if (!isPositive(given)) this.#log(recipient, given, recipient.answeredMs);
      answer(given);
    });
  }

  startData(onReply: (reply: Reply) => void): void {
    void this.#lookups.then(() => {
      if (this.#isOver) return onReply(NO_RECIPIENTS);
      this.#accepted = this.#recipients.filter((recipient) => recipient.maildir !== undefined);
      if (this.#accepted.length === 0) return onReply(NO_RECIPIENTS);
      this.#spool = this.#context.store.newSpool(() => this.#context.onDrain());
      onReply(GO_AHEAD);
    });
  }

  write(pieces: readonly Buffer[]): void {
    if (this.#refusal !== undefined) return;
    for (const piece of pieces) this.#spool?.append(this.#content.feed(piece));
  }

  refuseBody(refusal: Reply): void {
    this.#refusal = refusal;
    void this.#spool?.discard();
  }

  finish(onFinalReply: (index: number, reply: Reply) => void): void {
    void this.#deliverAll(onFinalReply);
  }

  onAllSaid(): void {
    // Nothing waits here.
  }

  /** Before the final dot nothing is kept; after it the message is delivered whether the client hears of it or not. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    void this.#spool?.discard();
  }

  async #ask(recipient: StoreRecipient): Promise<Reply> {
    const { store } = this.#context;
    const { address } = recipient;
    const declaredBytes = Number(this.#mail.parameters.get("SIZE") ?? 0);
    let found: MailboxAnswer;
    try {
      found = await store.findMailbox(address, declaredBytes);
    } catch (error) {
      return this.#fail(address, error);
    }
    switch (found.kind) {
      case "mailbox":
        recipient.maildir = found.maildir;
        return RECIPIENT_OK;
      case "unknown":
        return unknownUser(address, store.options.unknown === "451" ? "451" : "550");
      case "bad-name":
        return badName(address);
      case "full":
        return overQuota(address, store.options.overQuota);
    }
  }

  /** Never rejects. */
  async #deliverAll(onFinalReply: (index: number, reply: Reply) => void): Promise<void> {
    const { clock } = this.#context;
    this.#isOver = true;
    const dotMs = clock.nowMs();
    const content = this.#refusal === undefined ? await this.#spooled() : undefined;
    let next = 0;
    const deliverNext = async (): Promise<void> => {
      for (;;) {
        const index = next;
        next += 1;
        const recipient = this.#accepted[index];
        if (recipient === undefined) return;
        const final = this.#refusal ?? (await this.#deliverTo(recipient, content));
        this.#log(recipient, final, dotMs);
        onFinalReply(index, final);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_COPIES }, deliverNext));
    await this.#spool?.discard();
  }

  async #spooled(): Promise<Content | { readonly error: unknown }> {
    if (this.#spool === undefined) throw new Error("the body ended before it began");
    try {
      return await this.#spool.finish();
    } catch (error) {
      return { error };
    }
  }

  async #deliverTo(
    recipient: StoreRecipient,
    content: Content | { readonly error: unknown } | undefined,
  ): Promise<Reply> {
    const { store } = this.#context;
    const { address, maildir } = recipient;
    if (content === undefined || maildir === undefined) throw new Error("no content or no mailbox to deliver to");
    if ("error" in content) return this.#fail(address, content.error);
    // RFC 5321 4.4: final delivery puts Return-Path in front. Delivered-To is Postfix's and Dovecot's custom.
    const prefix = Buffer.from(`Return-Path: <${this.#mail.sender.text}>\nDelivered-To: ${address}\n`, "latin1");
    try {
      const name = await store.save(maildir, prefix, content);
      return name === undefined ? overQuota(address, store.options.overQuota) : SAVED(address, name);
    } catch (error) {
      return this.#fail(address, error);
    }
  }

  #fail(address: string, error: unknown): Reply {
    const { log, session } = this.#context;
    const text = error instanceof Error ? error.message : String(error);
    log.write({ kind: "message", level: "error", part: "store", session, text: `<${address}>: ${text}` });
    return failed(address, error);
  }

  #log(recipient: StoreRecipient, final: Reply, dotMs: number): void {
    const { store, session, clock, log } = this.#context;
    const { address, askedMs, answeredMs, maildir } = recipient;
    const nowMs = clock.nowMs();
    const isRefused = final.code >= 500;
    const ident = this.#mail.xforward.get("IDENT");
    log.write({
      kind: "delivery",
      session,
      recipient: address,
      sender: this.#mail.sender.text,
      backend: "maildir",
      relay: maildir === undefined ? "none" : `${store.options.hostname}[${maildir}]`,
      ...(ident === undefined ? {} : { ident }),
      connectionUse: 1,
      delayMs: nowMs - askedMs,
      delaysMs: [0, answeredMs - askedMs, dotMs - answeredMs, nowMs - dotMs],
      dsn: final.enhanced ?? `${Math.floor(final.code / 100)}.0.0`,
      status: isPositive(final) ? "sent" : isRefused ? "bounced" : "deferred",
      text: describeReply(final),
    });
  }
}
