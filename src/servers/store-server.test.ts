import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { connectLmtp, type LmtpClient } from "../../test/support/lmtp-client.ts";
import { systemClock } from "../core/clock.ts";
import type { DeliveryRecord, Log } from "../core/log.ts";
import type { StoreOptions } from "../store/options.ts";
import { startStoreServer } from "./store-server.ts";

async function setUp(t: TestContext, store: Partial<StoreOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "store-"));
  const directory = join(folder, "mail");
  const path = join(folder, "lmtp");
  const deliveries: DeliveryRecord[] = [];
  const log: Log = { write: (entry) => void (entry.kind === "delivery" && deliveries.push(entry)) };
  const server = await startStoreServer(
    {
      store: {
        directory,
        key: "localpart",
        recipientDelimiter: "+",
        users: { kind: "any" },
        unknown: "550",
        quotaBytes: undefined,
        overQuota: "552",
        maxRecipients: 100,
        maxMessageBytes: 2_000_000,
        hostname: "store.example",
        ...store,
      },
      listener: {
        protocol: "lmtp",
        address: { kind: "unix", path },
        owner: undefined,
        group: undefined,
        permissions: undefined,
        trustedNetworks: [],
        maxConnections: 10,
        maxConnectionsPerAddress: 10,
      },
      maxLineBytes: 65_536,
      idleTimeoutMs: 60_000,
    },
    systemClock,
    log,
  );
  const clients: LmtpClient[] = [];
  t.after(async () => {
    for (const client of clients) client.reset();
    await server.shutdown(0);
    await rm(folder, { recursive: true });
  });
  const connect = async (): Promise<LmtpClient> => {
    const client = await connectLmtp({ kind: "unix", path });
    clients.push(client);
    return client;
  };
  /** What lies in the mailbox of a user, oldest first. */
  const mailbox = async (user: string): Promise<string[]> => {
    const names = await readdir(join(directory, user, "Maildir", "new")).catch(() => []);
    const byCount = names.sort((a, b) => Number(/Q(\d+)/.exec(a)?.[1]) - Number(/Q(\d+)/.exec(b)?.[1]));
    return Promise.all(byCount.map((name) => readFile(join(directory, user, "Maildir", "new", name), "latin1")));
  };
  return { directory, server, connect, mailbox, deliveries };
}

for (const chunkBytes of [1, 7, 1000])
  test(`each recipient gets a copy, ${chunkBytes} bytes at a time`, async (t) => {
    const { connect, mailbox, deliveries } = await setUp(t);
    const client = await connect();
    assert.deepEqual(await client.lhlo(), [
      "PIPELINING",
      "ENHANCEDSTATUSCODES",
      "8BITMIME",
      "SIZE 2000000",
      "SMTPUTF8",
      "CHUNKING",
      "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
    ]);
    assert.equal(await client.command("XFORWARD IDENT=ABC123"), "250 2.0.0 OK");
    const replies = await client.transaction({
      recipients: ["user1+a@example.com", "User2@example.com", "user1@example.com"],
      content: "Subject: x\r\n\r\n.dot\r\nÿ\r\n",
      chunkBytes,
    });
    assert.equal(replies.final.length, 3);
    assert.match(
      replies.final[0] ?? "",
      /^250 2\.0\.0 <user1\+a@example\.com> \d+\.M\d+P\d+Q\d+\.store\.example,S=\d+ Saved$/,
    );
    const copy = (recipient: string) =>
      Buffer.from(`Return-Path: <s@x.example>\nDelivered-To: ${recipient}\nSubject: x\n\n.dot\nÿ\n`, "utf8").toString(
        "latin1",
      );
    assert.deepEqual((await mailbox("user1")).sort(), [copy("user1+a@example.com"), copy("user1@example.com")].sort());
    assert.deepEqual(await mailbox("user2"), [copy("User2@example.com")]);
    assert.deepEqual(
      deliveries.map(({ recipient, status, dsn, ident }) => [recipient, status, dsn, ident].join(" ")).sort(),
      [
        "User2@example.com sent 2.0.0 ABC123",
        "user1+a@example.com sent 2.0.0 ABC123",
        "user1@example.com sent 2.0.0 ABC123",
      ],
    );
    await client.expectInStep();
  });

test("BDAT, also of a message that does not end in a line end", async (t) => {
  const { connect, mailbox } = await setUp(t);
  const client = await connect();
  await client.lhlo();
  await client.send("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nBDAT 8\r\n.a\r\nb\nc\r");
  await client.expect("250", "250", "250");
  await client.send("BDAT 3 LAST\r\n\nde");
  await client.expect("250 2.0.0 <a@x>");
  assert.deepEqual(await mailbox("a"), ["Return-Path: <>\nDelivered-To: a@x\n.a\nb\nc\nde\n"]);
});

test("a client that leaves before the final dot leaves nothing behind", async (t) => {
  const { connect, directory, server } = await setUp(t);
  const client = await connect();
  await client.lhlo();
  await client.send("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  await client.send(Buffer.alloc(500_000, "x\r\n"));
  client.reset();
  await server.shutdown(10_000);
  assert.deepEqual(await readdir(directory), [".spool"]);
  assert.deepEqual(await readdir(join(directory, ".spool")), []);
});

test("a client that leaves right after the final dot has its message delivered", async (t) => {
  const { connect, mailbox, deliveries, server } = await setUp(t);
  const client = await connect();
  await client.lhlo();
  await client.send("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await client.expect("250", "250", "354");
  await client.send("Hello\r\n.\r\n");
  client.end();
  await client.expect("250 2.0.0");
  await server.shutdown(10_000);
  assert.equal((await mailbox("a")).length, 1);
  assert.equal(deliveries.length, 1);
});

test("one recipient's disk trouble is its own", async (t) => {
  const { connect, mailbox, directory } = await setUp(t);
  await mkdir(join(directory, "b", "Maildir"), { recursive: true });
  await writeFile(join(directory, "b", "Maildir", "tmp"), "no folder");
  const client = await connect();
  await client.lhlo();
  const replies = await client.transaction({ recipients: ["a@x", "b@x", "c@x"] });
  assert.deepEqual(replies.rcpt, ["250 2.1.5 OK", "250 2.1.5 OK", "250 2.1.5 OK"]);
  assert.match(replies.final[0] ?? "", /^250 2\.0\.0 <a@x>/);
  assert.match(replies.final[1] ?? "", /^451 4\.3\.0 <b@x> Message could not be stored \(E(?:EXIST|NOTDIR)\)$/);
  assert.match(replies.final[2] ?? "", /^250 2\.0\.0 <c@x>/);
  assert.equal((await mailbox("a")).length, 1);
  assert.deepEqual(await mailbox("b"), []);
  assert.equal((await mailbox("c")).length, 1);
});

test("unknown users and full mailboxes, by the rules asked for", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "users-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "users"), "a\nb\n");
  const users = { kind: "file", path: join(folder, "users") } as const;
  const wanted = [
    {
      unknown: "550",
      overQuota: "552",
      rcpt: "550 5.1.1 <z@x> User unknown",
      final: "552 5.2.2 <a@x> Mailbox is full",
    },
    {
      unknown: "451",
      overQuota: "452",
      rcpt: "451 4.1.1 <z@x> User unknown, may be made later",
      final: "452 4.2.2 <a@x> Mailbox is full",
    },
  ] as const;
  for (const { unknown, overQuota, rcpt, final } of wanted) {
    const { connect, deliveries } = await setUp(t, { users, unknown, overQuota, quotaBytes: 1000 });
    const client = await connect();
    await client.lhlo();
    const replies = await client.transaction({ recipients: ["z@x", "a@x"], content: Buffer.alloc(900, "x") });
    assert.deepEqual(replies.rcpt, [rcpt, "250 2.1.5 OK"]);
    assert.match(replies.final[0] ?? "", /^250 2\.0\.0 <a@x>/);
    const again = await client.transaction({ recipients: ["a@x"], content: Buffer.alloc(900, "x") });
    assert.deepEqual(again.final, [final]);
    const declared = await client.transaction({ mailParameters: "SIZE=1001", recipients: ["b@x"] });
    assert.equal(declared.rcpt[0], final.replace("<a@x>", "<b@x>"));
    assert.equal(declared.data.slice(0, 3), "503");
    assert.deepEqual(
      deliveries.map(({ recipient, status }) => `${recipient} ${status}`),
      unknown === "550"
        ? ["z@x bounced", "a@x sent", "a@x bounced", "b@x bounced"]
        : ["z@x deferred", "a@x sent", "a@x deferred", "b@x deferred"],
    );
  }
});

test("a message over the limit is refused for each recipient, and the session goes on", async (t) => {
  const { connect, directory } = await setUp(t, { maxMessageBytes: 70_000 });
  const client = await connect();
  await client.lhlo();
  const replies = await client.transaction({ recipients: ["a@x", "b@x"], content: Buffer.alloc(300_000, "x\r\n") });
  assert.deepEqual(
    replies.final.map((reply) => reply.slice(0, 9)),
    ["552 5.3.4", "552 5.3.4"],
  );
  const declared = await client.transaction({ mailParameters: "SIZE=70001", recipients: ["a@x"] });
  assert.equal(declared.mail, "552 5.3.4 Message is larger than this server takes");
  await client.expectInStep();
  assert.deepEqual(await readdir(directory), [".spool"]);
});

test("too many recipients: those past the limit wait", async (t) => {
  const { connect } = await setUp(t, { maxRecipients: 2 });
  const client = await connect();
  await client.lhlo();
  const replies = await client.transaction({ recipients: ["a@x", "b@x", "c@x"] });
  assert.deepEqual(
    replies.rcpt.map((reply) => reply.slice(0, 9)),
    ["250 2.1.5", "250 2.1.5", "452 4.5.3"],
  );
  assert.equal(replies.final.length, 2);
});

test("shutdown finishes the message under way, then says 421", async (t) => {
  const { connect, mailbox, server } = await setUp(t);
  const idle = await connect();
  const busy = await connect();
  await idle.lhlo();
  await busy.lhlo();
  await busy.send("MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n");
  await busy.expect("250", "250", "354");
  const stopped = server.shutdown(10_000);
  await idle.expect("421 4.3.2");
  await busy.send("Hello\r\n.\r\n");
  await busy.expect("250 2.0.0", "421 4.3.2");
  busy.end();
  idle.end();
  await stopped;
  assert.equal((await mailbox("a")).length, 1);
});
