import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { systemClock } from "../../src/core/clock.ts";
import type { DeliveryRecord } from "../../src/core/log.ts";
import { startStoreServer, type StoreServerOptions } from "../../src/servers/store-server.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { isPositive, messagePlan, sendMessage, type MessageOutcome, type MessagePlan } from "./client-plan.ts";

const QUOTA_BYTES = 100_000;

interface Mail {
  readonly user: string;
  readonly text: string;
}

/** One client of a store of its own; what it heard, what the log says and what lies in the Maildirs after it. */
async function play(messages: readonly MessagePlan[], chunkBytes: number | undefined) {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  try {
    const deliveries: DeliveryRecord[] = [];
    const server = await startStoreServer(optionsOf(folder), systemClock, {
      write: (entry) => void (entry.kind === "delivery" && deliveries.push(entry)),
    });
    const client = await connectLmtp({ kind: "unix", path: join(folder, "lmtp") });
    const outcomes: MessageOutcome[] = [];
    try {
      await client.lhlo();
      for (const [index, message] of messages.entries()) {
        outcomes.push(await sendMessage(client, message, `m${index}@x.example`, chunkBytes));
        if (message.ends === "leaves" || message.ends === "breaks") break;
      }
    } finally {
      client.end();
      await server.shutdown(5000);
      client[Symbol.dispose]();
    }
    return { outcomes, deliveries, mails: await readMails(join(folder, "mail")) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function optionsOf(folder: string): StoreServerOptions {
  return {
    store: {
      directory: join(folder, "mail"),
      key: "localpart",
      recipientDelimiter: "+",
      users: { kind: "any" },
      unknown: "550",
      quotaBytes: QUOTA_BYTES,
      overQuota: "452",
      maxRecipients: 5,
      maxMessageBytes: undefined,
      hostname: "store.example",
    },
    listener: {
      protocol: "lmtp",
      address: { kind: "unix", path: join(folder, "lmtp") },
      owner: undefined,
      group: undefined,
      permissions: undefined,
      trustedNetworks: [],
      maxConnections: 10,
      maxConnectionsPerAddress: 10,
    },
    maxLineBytes: 65_536,
    idleTimeoutMs: 60_000,
  };
}

async function readMails(directory: string): Promise<Mail[]> {
  const mails: Mail[] = [];
  for (const user of await readdir(directory)) {
    if (user === ".spool") {
      assert.deepEqual(await readdir(join(directory, user)), []);
      continue;
    }
    const maildir = join(directory, user, "Maildir");
    assert.deepEqual([await readdir(join(maildir, "tmp")), await readdir(join(maildir, "cur"))], [[], []]);
    for (const name of await readdir(join(maildir, "new"))) {
      const text = await readFile(join(maildir, "new", name), "latin1");
      assert.equal(Number(/,S=(\d+)$/.exec(name)?.[1]), text.length, "the size in the name is not the file's");
      mails.push({ user, text });
    }
  }
  return mails;
}

/** As a Maildir keeps it: lines end in LF, bare CRs are blanks, the last line is whole. */
function storedContent({ content, repeated, how }: MessagePlan): string {
  const given = content.repeat(repeated);
  // The dot needs a line of its own: the client ends the one before, whatever it is.
  const sent = how === "BDAT" || given === "" || given.endsWith("\r\n") ? given : `${given}\r\n`;
  const text = sent.replaceAll(/\r\n|\n/g, "\n").replaceAll("\r", " ");
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

test("what the store says is what lies in its Maildirs, whatever a client does", { timeout: 300_000 }, () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(messagePlan, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(undefined, 100, 7),
      async (messages, chunkBytes) => {
        const { outcomes, deliveries, mails } = await play(messages, chunkBytes);
        const expected: Mail[] = [];
        for (const [index, { rcpt, final }] of outcomes.entries()) {
          const message = messages[index];
          assert.ok(message);
          for (const [at, user] of message.users.entries()) {
            assert.match(rcpt[at] ?? "", at < 5 ? /^250 2\.1\.5|^452 4\.2\.2/ : /^452 4\.5\.3/);
            assert.match(final[at] ?? "250", /^250|^452 4\.2\.2/);
            if (!isPositive(final[at])) continue;
            const header = `Return-Path: <m${index}@x.example>\nDelivered-To: ${user}@x.example\n`;
            expected.push({ user, text: header + storedContent(message) });
          }
        }
        const inOrder = (list: readonly Mail[]): string[] => list.map((mail) => JSON.stringify(mail)).sort();
        assert.deepEqual(inOrder(mails), inOrder(expected));
        assert.equal(deliveries.filter(({ status }) => status === "sent").length, expected.length);
        const used = new Map<string, number>();
        for (const { user, text } of mails) used.set(user, (used.get(user) ?? 0) + text.length);
        for (const [user, bytes] of used) assert.ok(bytes <= QUOTA_BYTES, `${user} has ${bytes} bytes`);
      },
    ),
    { numRuns: 150, includeErrorInReport: true },
  ),
);
