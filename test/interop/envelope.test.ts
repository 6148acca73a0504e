import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { findFreePorts } from "../support/processes.ts";
import { type Mailshunt, startMailshunt, startMaildirStore } from "./mailshunt.ts";
import { countCopies, newMessage } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

const MANY = 120;
const many = Array.from({ length: MANY }, (_, n) => `many${n}@example.com`);
const isEven = (_: string, index: number): boolean => index % 2 === 0;
const isOdd = (_: string, index: number): boolean => index % 2 === 1;

const CYRUS_USERS = ["ada@example.com", ...many.filter(isEven)];
/** `"a@b"@example.com` as Dovecot looks it up in a passwd-file. */
const QUOTED = String.raw`\"a@b\"@example.com`;
const DOVECOT_USERS = ["bob@example.com", "odd user@example.com", QUOTED, ...many.filter(isOdd)];

describe("envelopes that Postfix sends", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, cyrus: Cyrus, mailshunt: Mailshunt;
  let maildirs: string;
  let port = 0;

  before(async () => {
    const [storePort = 0, lmtpPort = 0] = await findFreePorts(2);
    port = lmtpPort;
    let store: { readonly folder: string };
    [postfix, dovecot, cyrus, store] = await Promise.all([
      started.add(
        startPostfix({ main: { virtual_mailbox_domains: "example.com", lmtp_send_xforward_command: "yes" } }),
      ),
      // By default Dovecot refuses a user whose name has a blank in it.
      started.add(startDovecot({ users: DOVECOT_USERS, config: "auth_username_chars =\n" })),
      started.add(startCyrus({ users: CYRUS_USERS })),
      started.add(startMaildirStore(storePort)),
    ]);
    maildirs = store.folder;
    const config = (folder: string): string => `
version: 1
listeners:
  - { protocol: lmtp, address: "unix:${folder}/lmtp", owner: postfix, group: postfix, permissions: "0660" }
  - { protocol: lmtp, address: "127.0.0.1:${port}" }
backends:
  cyrus: { lmtp: "unix:${cyrus.lmtpSocket}" }
  dovecot: { lmtp: "127.0.0.1:${dovecot.lmtpPort}" }
  maildirs: { lmtp: "127.0.0.1:${storePort}" }
tables:
  users:
    type: static
    entries:
      ada: cyrus
      bob: dovecot
      "odd user": dovecot
      a@b: dovecot
      jürgen: maildirs
      jérôme: dovecot
${many.map((user, index) => `      ${user.replace("@example.com", "")}: ${index % 2 === 0 ? "cyrus" : "dovecot"}\n`).join("")}
routing: { key: localpart, tables: [users] }
`;
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config }));
    await postfix.configure({ virtual_transport: `lmtp:unix:${mailshunt.folder}/lmtp` });
  });
  after(() => started.stop());

  test("XFORWARD brings Postfix's queue id into our log", async () => {
    const queueId = await postfix.send({ from: "s@x.example", to: ["ada@example.com"] }, newMessage().content);
    await postfix.waitForDelivery(queueId, "ada@example.com", "sent");
    const [line] = await mailshunt.waitForDeliveries(queueId, 1);
    assert.deepEqual(
      [line?.to, line?.from, line?.status, line?.backend],
      ["ada@example.com", "s@x.example", "sent", "cyrus"],
    );
  });

  test("120 recipients come in three transactions at once", async () => {
    const message = newMessage();
    const queueId = await postfix.send({ from: "s@x.example", to: many }, message.content);
    for (const user of many) await postfix.waitForDelivery(queueId, user, "sent");
    const bySession = Map.groupBy(await mailshunt.waitForDeliveries(queueId, MANY), ({ session }) => session);
    assert.deepEqual(
      [...bySession.values()].map(({ length }) => length).toSorted((a, b) => a - b),
      [20, 50, 50],
    );
    for (const user of many.filter(isEven)) assert.equal(countCopies(await cyrus.messages(user), message), 1, user);
    for (const user of many.filter(isOdd)) assert.equal(countCopies(await dovecot.messages(user), message), 1, user);
  });

  test("a cached connection carries one transaction after another", async () => {
    // Postfix caches connections while a destination has a backlog.
    await postfix.configure({
      virtual_transport: `lmtp:inet:127.0.0.1:${port}`,
      defer_transports: "lmtp",
      lmtp_destination_concurrency_limit: "2",
    });
    const messages = Array.from({ length: 40 }, (_, n) => newMessage(`number ${n}`));
    const queueIds: string[] = [];
    for (const { content } of messages)
      queueIds.push(await postfix.send({ from: "s@x.example", to: ["ada@example.com", "bob@example.com"] }, content));
    await postfix.configure({ defer_transports: "" });
    await postfix.flush();
    for (const queueId of queueIds)
      for (const user of ["ada@example.com", "bob@example.com"]) await postfix.waitForDelivery(queueId, user, "sent");
    const reused = postfix
      .deliveries()
      .filter(({ queueId, connectionUse }) => queueIds.includes(queueId) && connectionUse > 1);
    assert.ok(reused.length > 0, "Postfix reused no connection");
    const [ada, bob] = [await cyrus.messages("ada@example.com"), await dovecot.messages("bob@example.com")];
    for (const message of messages)
      assert.deepEqual([countCopies(ada, message), countCopies(bob, message)], [1, 1], message.id);
    const lines = (await Promise.all(queueIds.map((queueId) => mailshunt.waitForDeliveries(queueId, 2)))).flat();
    for (const backend of ["cyrus", "dovecot"])
      assert.ok(
        lines.some((line) => line.backend === backend && line.connectionUse > 1),
        `no session to ${backend} was reused`,
      );
    await postfix.configure({ virtual_transport: `lmtp:unix:${mailshunt.folder}/lmtp` });
  });

  const spellings = [
    { name: "upper-case domain towards Cyrus", to: "ada@EXAMPLE.COM", mailbox: "ada@example.com" },
    { name: "upper-case local part towards Cyrus", to: "ADA@example.com", mailbox: "ada@example.com" },
    { name: "upper-case domain towards Dovecot", to: "Bob@Example.COM", mailbox: "bob@example.com" },
    { name: "quoted local part", to: '"odd user"@example.com', mailbox: "odd user@example.com" },
    { name: "quoted @ in the local part", to: '"a@b"@example.com', mailbox: QUOTED },
    { name: "needless quotes", to: '"bob"@example.com', mailbox: "bob@example.com" },
  ];
  for (const { name, to, mailbox } of spellings)
    test(name, async () => {
      const message = newMessage();
      const queueId = await postfix.send({ from: "", to: [to] }, message.content);
      await postfix.waitForEmptyQueue();
      const [delivery] = postfix.deliveries(queueId);
      assert.equal(delivery?.status, "sent", delivery?.text ?? "no delivery");
      const store = CYRUS_USERS.includes(mailbox) ? cyrus : dovecot;
      assert.equal(countCopies(await store.messages(mailbox), message), 1);
    });

  test("a null sender stays null", async () => {
    const message = newMessage();
    const to = ["ada@example.com", "bob@example.com"];
    await postfix.send({ from: "", to }, message.content);
    await postfix.waitForEmptyQueue();
    for (const stored of [await cyrus.messages("ada@example.com"), await dovecot.messages("bob@example.com")]) {
      const one = stored.find((candidate) => candidate.includes(message.id));
      assert.match(one?.toString() ?? "", /^Return-Path: <>\r?\n/);
    }
  });

  test("a UTF-8 address reaches the store that takes it, and no other", async () => {
    const message = newMessage();
    const to = ["jürgen@example.com", "jérôme@example.com", "ada@example.com"];
    const queueId = await postfix.send(
      { from: "ü@x.example", to, parameters: "SMTPUTF8 BODY=8BITMIME" },
      message.content,
    );
    await postfix.waitForEmptyQueue();
    const outcomes = postfix
      .deliveries(queueId)
      .map(({ to: user, status, dsn }) => [
        Buffer.from(user, "latin1").toString("utf8"),
        status,
        dsn.slice(0, 1) === "2" ? "2" : dsn,
      ]);
    assert.deepEqual(
      new Map(outcomes.map(([user, ...rest]) => [user, rest])),
      new Map([
        ["jürgen@example.com", ["sent", "2"]],
        // Neither Dovecot nor Cyrus announces SMTPUTF8, and the sender's address needs it.
        ["jérôme@example.com", ["bounced", "5.6.7"]],
        ["ada@example.com", ["bounced", "5.6.7"]],
      ]),
    );
    const files = (await readdir(maildirs, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const stored = await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name))));
    assert.equal(countCopies(stored, message), 1);
  });

  test("SMTPUTF8 that only the envelope's parameter asks for reaches every store", async () => {
    const message = newMessage();
    const to = ["ada@example.com", "bob@example.com"];
    const queueId = await postfix.send({ from: "s@x.example", to, parameters: "SMTPUTF8" }, message.content);
    for (const user of to) await postfix.waitForDelivery(queueId, user, "sent");
    assert.equal(countCopies(await cyrus.messages("ada@example.com"), message), 1);
    assert.equal(countCopies(await dovecot.messages("bob@example.com"), message), 1);
  });
});
