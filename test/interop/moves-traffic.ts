import { setTimeout as delay } from "node:timers/promises";
import type { ImapClient } from "../support/imap-client.ts";
import { connectSmtp, type SmtpClient } from "../support/smtp-client.ts";
import { logIn } from "./dovecot-imap.ts";
import { PASSWORD } from "./logins.ts";
import { newMessage } from "./messages.ts";

/** A message that Postfix has taken. */
export interface Sent {
  readonly id: string;
  readonly queueId: string;
  readonly to: readonly string[];
}

export interface Sender {
  /** Those that Postfix has taken so far. */
  readonly sent: readonly Sent[];
  /** @returns all, once the last has been taken */
  stop(): Promise<readonly Sent[]>;
}

const CONNECTIONS = 4;

/** Sends messages at a steady rate, to one after the other. @param pickRecipients of message n */
export async function startSending(
  smtpPort: number,
  perSecond: number,
  pickRecipients: (n: number) => readonly string[],
): Promise<Sender> {
  const sent: Sent[] = [];
  const stopping = new AbortController();
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connectSmtp(smtpPort)));
  const startMs = performance.now();
  const sendShare = async (client: SmtpClient, connection: number): Promise<void> => {
    for (let n = connection; ; n += CONNECTIONS) {
      const waitMs = startMs + (n * 1000) / perSecond - performance.now();
      if (waitMs > 0) await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      const to = pickRecipients(n);
      const { id, content } = newMessage(`number ${n}`, "All of it.\r\n".repeat(1 + (n % 200)));
      const queueId = await client.send({ from: "s@x.example", to }, Buffer.from(content));
      sent.push({ id, queueId, to });
    }
  };
  const ended = Promise.all(clients.map(sendShare));
  // Told by `stop`.
  ended.catch(() => undefined);
  return {
    sent,
    async stop() {
      stopping.abort();
      await ended.finally(() => clients.forEach((client) => client.close()));
      return sent;
    },
  };
}

/** What came of one login over nginx. Times are those of the wall clock in ms. */
export interface Login {
  readonly user: string;
  readonly beganMs: number;
  readonly answeredMs: number;
  /** The store that answered, or what was said instead. */
  readonly store: string;
}

export interface Readers {
  readonly logins: readonly Login[];
  /** `user id` of messages that were marked as read, and the store said OK. */
  readonly read: ReadonlySet<string>;
  stop(): Promise<void>;
}

const READERS = 6;
/** How many commands one who stays gives before logging out, unless thrown out before. */
const STAYS_FOR = 40;
const BETWEEN_COMMANDS_MS = 100;

/** Clients that log in over nginx, read, mark as read and leave; some stay until they are thrown out. */
export function startReading(imapPort: number, users: readonly string[]): Readers {
  const logins: Login[] = [];
  const read = new Set<string>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const markOne = async (client: ImapClient, user: string): Promise<void> => {
    const [found] = await client.command("UID SEARCH UNSEEN");
    const uid = /^\* SEARCH (\d+)/.exec(found?.text ?? "")?.[1];
    if (uid === undefined) return;
    const [fetched] = await client.command(`UID FETCH ${uid} BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]`);
    const id = /<(.*)>/.exec(fetched?.literals[0]?.toString("latin1") ?? "")?.[1];
    await client.command(`UID STORE ${uid} +FLAGS.SILENT (\\Seen)`);
    if (id !== undefined) read.add(`${user} ${id}`);
  };
  const visit = async (user: string, isLong: boolean): Promise<void> => {
    const beganMs = Date.now();
    const note = (store: string): void => void logins.push({ user, beganMs, answeredMs: Date.now(), store });
    let client: ImapClient;
    try {
      client = await logIn(imapPort, user, PASSWORD);
    } catch (error) {
      return note(/c1 (.*)$/s.exec(String(error))?.[1] ?? String(error));
    }
    try {
      const [name] = await client.command("ID NIL");
      note(/"name" "(\w+)"/.exec(name?.text ?? "")?.[1] ?? `${name?.text}`);
      await client.command("SELECT INBOX");
      for (let n = 0; n < (isLong ? STAYS_FOR : 1) && !signal.aborted; n += 1) {
        await markOne(client, user);
        if (isLong) await delay(BETWEEN_COMMANDS_MS, undefined, { signal }).catch(() => undefined);
      }
    } catch {
      // Thrown out: what was not answered may be lost, as by any break.
    } finally {
      client.close();
    }
  };
  const reader = async (first: number): Promise<void> => {
    for (let n = first; !signal.aborted; n += READERS) {
      await visit(users[n % users.length] ?? "", first % 2 === 0);
      await delay(BETWEEN_COMMANDS_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  const ended = Promise.all(Array.from({ length: READERS }, (_, first) => reader(first)));
  ended.catch(() => undefined);
  return {
    logins,
    read,
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
