import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cyrus, CYRUS_PROXY, startCyrus } from "../support/cyrus.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { countCopies, newMessage } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

const MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"];
const ADA = "ada@example.com";

/** A YAML scalar in single quotes. */
const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

describe("AUTH towards Cyrus over TCP", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, cyrus: Cyrus;

  before(async () => {
    [postfix, cyrus] = await Promise.all([
      started.add(startPostfix({ main: { virtual_mailbox_domains: "example.com" } })),
      started.add(startCyrus({ users: [ADA], mechanisms: MECHANISMS })),
    ]);
  });
  after(() => started.stop());

  const configure =
    (port: number, password: string, user: string = CYRUS_PROXY.user) =>
    (folder: string): string =>
      `
config: { socket: ${folder}/lmtp, owner: postfix, group: postfix, permissions: 0660, ignoreDomain: True }
backends:
  cyrus-tcp: { host: 127.0.0.1, port: ${port}, user: ${user}, password: ${quoted(password)} }
users: { ada: cyrus-tcp }
`;
  const startWith = async (config: (folder: string) => string): Promise<Mailshunt> => {
    const mailshunt = await started.add(startMailshunt({ program: "lmtp-proxy", config }));
    await postfix.configure({ virtual_transport: `lmtp:unix:${mailshunt.folder}/lmtp` });
    return mailshunt;
  };
  const deliver = async (): Promise<void> => {
    const message = newMessage();
    const queueId = await postfix.send({ from: "s@x.example", to: [ADA] }, message.content);
    await postfix.waitForDelivery(queueId, ADA, "sent");
    assert.equal(countCopies(await cyrus.messages(ADA), message), 1);
  };

  for (const mechanism of MECHANISMS)
    test(`${mechanism}, where the store offers nothing else`, async () => {
      await startWith(configure(cyrus.portOffering(mechanism), CYRUS_PROXY.password));
      await deliver();
    });

  test("whichever is best, where the store offers all", async () => {
    await startWith(configure(cyrus.lmtpPort, CYRUS_PROXY.password));
    await deliver();
  });

  const faults = [
    ...MECHANISMS.map((mechanism) => ({
      mechanism,
      user: CYRUS_PROXY.user,
      password: "not-the-secret-7",
      what: "password",
    })),
    { mechanism: "PLAIN", user: "nobody", password: CYRUS_PROXY.password, what: "user" },
  ];
  for (const { mechanism, user, password, what } of faults)
    test(`a wrong ${what} with ${mechanism} delays mail and raises an alarm`, async () => {
      const port = cyrus.portOffering(mechanism);
      const mailshunt = await startWith(configure(port, password, user));
      const message = newMessage();
      const queueId = await postfix.send({ from: "s@x.example", to: [ADA] }, message.content);
      const deferred = await postfix.waitForDelivery(queueId, ADA, "deferred");
      assert.match(deferred.text, /said: 451 4\./);
      await mailshunt.log.waitFor(/error: .*cyrus-tcp.*AUTH/i);
      assert.equal(mailshunt.log.text().includes(password), false, "the password is in the log");

      await mailshunt.reload(configure(port, CYRUS_PROXY.password)(mailshunt.folder));
      await postfix.waitForDelivery(queueId, ADA, "sent");
      assert.deepEqual(
        postfix.deliveries(queueId).filter(({ status }) => status === "bounced"),
        [],
      );
      assert.equal(countCopies(await cyrus.messages(ADA), message), 1);
    });
});
