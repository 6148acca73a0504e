import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { countCopies, newMessage, withoutStoreTrace } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

/** What the servers do without mailshunt: the ground that the other suites stand on. */
describe("Postfix delivers directly", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, cyrus: Cyrus;
  const users = ["ada@example.com"];
  const fullUsers = ["full@example.com"];

  before(async () => {
    [postfix, dovecot, cyrus] = await Promise.all([
      started.add(startPostfix({ main: { virtual_mailbox_domains: "example.com" } })),
      started.add(startDovecot({ users, fullUsers })),
      started.add(startCyrus({ users, fullUsers })),
    ]);
  });
  after(() => started.stop());

  const stores = [
    { name: "to Dovecot over TCP", nexthop: () => `lmtp:inet:127.0.0.1:${dovecot.lmtpPort}`, store: () => dovecot },
    { name: "to Dovecot's unix socket", nexthop: () => `lmtp:unix:${dovecot.lmtpSocket}`, store: () => dovecot },
    { name: "to Cyrus's unix socket", nexthop: () => `lmtp:unix:${cyrus.lmtpSocket}`, store: () => cyrus },
  ];
  for (const { name, nexthop, store } of stores)
    test(name, async () => {
      await postfix.configure({ virtual_transport: nexthop() });
      const message = newMessage();
      const to = [...users, "ghost@example.com", ...fullUsers];
      const queueId = await postfix.send({ from: "", to }, message.content);
      await postfix.waitForDelivery(queueId, "ada@example.com", "sent");
      const ghost = await postfix.waitForDelivery(queueId, "ghost@example.com", "bounced");
      assert.equal(ghost.dsn, "5.1.1");
      const full = store() === dovecot ? { status: "bounced", dsn: "5.2.2" } : { status: "deferred", dsn: "4.2.2" };
      assert.equal((await postfix.waitForDelivery(queueId, "full@example.com", full.status)).dsn, full.dsn);

      const messages = await store().messages("ada@example.com");
      assert.equal(countCopies(messages, message), 1);
      const [stored = Buffer.alloc(0)] = messages.filter((one) => one.includes(message.id));
      const content = withoutStoreTrace(stored).toString("latin1").replaceAll("\r\n", "\n");
      assert.match(content, /^Received: from client\.example .*\n\tby mx\.example \(Postfix\)/);
      assert.ok(content.endsWith(message.content.replaceAll("\r\n", "\n")), content);
    });

  test("to Cyrus once its quota is lifted", async () => {
    await cyrus.setQuota("full@example.com", undefined);
    await postfix.waitForEmptyQueue();
  });
});
