import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { until } from "../support/until.ts";
import { type Mailshunt, type MailshuntOptions, startMailshunt } from "./mailshunt.ts";
import { countCopies, newMessage } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

/** Who lives where; `ghost` users are in the table and in no store, `stranger` is in no table. */
const CYRUS_USERS = ["ada", "carl", "held"];
const DOVECOT_USERS = ["bob", "dora", "sender", "stranger"];

const LMTP_PROXY_FORMAT =
  ({ lmtpSocket }: Cyrus, { lmtpPort }: Dovecot, held: string, more: string) =>
  (folder: string): string =>
    `
config:
  socket: ${folder}/lmtp
  owner: postfix
  group: postfix
  permissions: 0660
  ignoreDomain: True
  pid: ${folder}/pid
backends:
  cyrus-unix: { socket: ${lmtpSocket} }
  dovecot-tcp: { host: 127.0.0.1, port: ${lmtpPort} }
users:
  ada: cyrus-unix
  carl: cyrus-unix
  fullcyrus: cyrus-unix
  ghostcyrus: cyrus-unix
  bob: dovecot-tcp
  dora: dovecot-tcp
  sender: dovecot-tcp
  fulldovecot: dovecot-tcp
  ghostdovecot: dovecot-tcp
  held: ${held === "hold" ? "reject" : "cyrus-unix"}
${more === "" ? "" : "  stranger: dovecot-tcp"}
`;

const OWN_FORMAT =
  ({ lmtpSocket }: Cyrus, { lmtpPort }: Dovecot, held: string, more: string) =>
  (folder: string): string =>
    `
version: 1
listeners:
  - { protocol: lmtp, address: "unix:${folder}/lmtp", owner: postfix, group: postfix, permissions: "0660" }
backends:
  old: { lmtp: "unix:${lmtpSocket}" }
  new: { lmtp: "127.0.0.1:${lmtpPort}" }
tables:
  users:
    type: static
    entries:
      ada: old
      carl: old
      fullcyrus: old
      ghostcyrus: old
      bob: new
      dora: new
      sender: new
      fulldovecot: new
      ghostdovecot: new
      held: ${held === "hold" ? "hold" : "old"}
${more === "" ? "" : "      stranger: new"}
routing:
  key: localpart
  recipient_delimiter: "+"
  tables: [users]
  unknown: defer
`;

const formats = [
  { name: "lmtp-proxy", program: "lmtp-proxy", configure: LMTP_PROXY_FORMAT, signal: "SIGUSR1" },
  { name: "mailshunt's own", program: "mailshunt", configure: OWN_FORMAT, signal: "SIGHUP" },
] as const;

const address = (user: string): string => `${user}@example.com`;

describe("each recipient gets its own store's answer", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, cyrus: Cyrus;

  before(async () => {
    const main = { virtual_mailbox_domains: "example.com", lmtp_send_xforward_command: "yes" };
    [postfix, dovecot, cyrus] = await Promise.all([
      started.add(startPostfix({ main })),
      started.add(startDovecot({ users: DOVECOT_USERS.map(address), fullUsers: [address("fulldovecot")] })),
      started.add(startCyrus({ users: CYRUS_USERS.map(address), fullUsers: [address("fullcyrus")] })),
    ]);
  });
  after(() => started.stop());

  const startWith = (program: MailshuntOptions["program"], config: MailshuntOptions["config"]): Promise<Mailshunt> =>
    started.add(startMailshunt({ program, config }));

  for (const { name, program, configure, signal } of formats)
    test(`configured in ${name} format`, async () => {
      await cyrus.setQuota(address("fullcyrus"), 0);
      const mailshunt = await startWith(program, configure(cyrus, dovecot, "hold", ""));
      await postfix.configure({ virtual_transport: `lmtp:unix:${mailshunt.folder}/lmtp` });
      const message = newMessage(`one of each, ${name} format`);
      const expected = [
        { user: "ada", status: "sent", dsn: "2.1.5", says: /^250 2\.1\.5 .*Success/ },
        { user: "carl", status: "sent", dsn: "2.1.5", says: /^250 2\.1\.5 .*Success/ },
        { user: "bob", status: "sent", dsn: "2.0.0", says: /^250 2\.0\.0 <bob@example\.com> .*Saved/ },
        { user: "dora", status: "sent", dsn: "2.0.0", says: /^250 2\.0\.0 <dora@example\.com> .*Saved/ },
        { user: "fullcyrus", status: "deferred", dsn: "4.2.2", says: /Over quota.*RCPT TO/ },
        { user: "fulldovecot", status: "bounced", dsn: "5.2.2", says: /Quota exceeded.*end of DATA/ },
        { user: "ghostcyrus", status: "bounced", dsn: "5.1.1", says: /User unknown.*RCPT TO/ },
        { user: "ghostdovecot", status: "bounced", dsn: "5.1.1", says: /User doesn't exist.*RCPT TO/ },
        { user: "held", status: "deferred", dsn: "4.2.1", says: /450 4\.2\.1 .*RCPT TO/ },
        { user: "stranger", status: "deferred", dsn: "4.1.1", says: /451 4\.1\.1 .*RCPT TO/ },
      ];
      const to = expected.map(({ user }) => address(user));
      const queueId = await postfix.send({ from: address("sender"), to }, message.content);
      for (const { user, status, dsn, says } of expected) {
        const delivery = await postfix.waitForDelivery(queueId, address(user), status);
        assert.equal(delivery.dsn, dsn, user);
        assert.match(delivery.text, says);
      }
      const first = await mailshunt.waitForDeliveries(queueId, expected.length);
      const sessions = new Set(first.map(({ session }) => session));
      assert.equal(sessions.size, 1, "all recipients came in one transaction");
      for (const { user, status, dsn } of expected) {
        const line = first.find((delivery) => delivery.to === address(user));
        assert.deepEqual([line?.status, line?.dsn], [status, dsn], user);
      }

      // The bounce is a message too: from the null sender, through mailshunt, into the sender's own mailbox.
      const bounce = await until("the bounce arrives", async () =>
        (await dovecot.messages(address("sender"))).find((one) => one.includes(message.id)),
      );
      assert.match(bounce.toString(), /^Return-Path: <>\n/);
      const refused = [...bounce.toString().matchAll(/^Final-Recipient: rfc822; (.*)$/gm)].map(([, who]) =>
        String(who),
      );
      assert.deepEqual(refused.toSorted(), ["fulldovecot", "ghostcyrus", "ghostdovecot"].map(address));

      // Deferred until the reason is gone, then delivered once.
      await cyrus.setQuota(address("fullcyrus"), undefined);
      await mailshunt.reload(configure(cyrus, dovecot, "lifted", "stranger")(mailshunt.folder), signal);
      for (const user of ["held", "stranger", "fullcyrus"])
        await postfix.waitForDelivery(queueId, address(user), "sent");
      await postfix.waitForEmptyQueue();
      for (const user of [...CYRUS_USERS, "fullcyrus"])
        assert.equal(countCopies(await cyrus.messages(address(user)), message), 1, user);
      for (const user of ["bob", "dora", "stranger"])
        assert.equal(countCopies(await dovecot.messages(address(user)), message), 1, user);
      assert.equal(countCopies(await dovecot.messages(address("fulldovecot")), message), 0);
    });

  test("a table's refuse bounces, and a faulty reload changes nothing", async () => {
    const config = (folder: string): string =>
      OWN_FORMAT(cyrus, dovecot, "hold", "")(folder).replace("bob: new", "bob: refuse");
    const mailshunt = await startWith("mailshunt", config);
    await postfix.configure({ virtual_transport: `lmtp:unix:${mailshunt.folder}/lmtp` });
    await mailshunt.reloadBadly(config(mailshunt.folder).replace("ada: old", "ada: odl"));
    assert.match(mailshunt.log.text(), /config\.yaml:\d+:\d+: .*odl/);
    const message = newMessage();
    const queueId = await postfix.send({ from: "", to: ["bob", "ada", "dora"].map(address) }, message.content);
    const refused = await postfix.waitForDelivery(queueId, address("bob"), "bounced");
    assert.equal(refused.dsn, "5.7.1");
    await postfix.waitForDelivery(queueId, address("ada"), "sent");
    await postfix.waitForDelivery(queueId, address("dora"), "sent");
    assert.equal(countCopies(await cyrus.messages(address("ada")), message), 1);
    assert.equal(countCopies(await dovecot.messages(address("bob")), message), 0);
  });
});
