import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Cyrus, startCyrus } from "../support/cyrus.ts";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { type Postfix, startPostfix } from "../support/postfix.ts";
import { findFreePorts } from "../support/processes.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { countCopies, newMessage } from "./messages.ts";
import { createStarted, whyNoServers } from "./servers.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";

/** Parameters that make each of Postfix's four ways lead to mailshunt. */
const WAYS = {
  mailbox_transport: (nexthop: string) => ({ mydestination: "example.com", mailbox_transport: nexthop }),
  fallback_transport: (nexthop: string) => ({ mydestination: "example.com", fallback_transport: nexthop }),
  local_transport: (nexthop: string) => ({ mydestination: "example.com", local_transport: nexthop }),
  virtual_transport: (nexthop: string) => ({ virtual_mailbox_domains: "example.com", virtual_transport: nexthop }),
};
const NO_WAY = {
  mydestination: "",
  virtual_mailbox_domains: "",
  mailbox_transport: "",
  fallback_transport: "",
  local_transport: "local:$myhostname",
  virtual_transport: "virtual",
};

describe("Postfix's transports", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, cyrus: Cyrus, mailshunt: Mailshunt;
  let port = 0;

  before(async () => {
    [port = 0] = await findFreePorts(1);
    [postfix, dovecot, cyrus] = await Promise.all([
      started.add(startPostfix({ main: { lmtp_send_xforward_command: "yes" } })),
      started.add(startDovecot({ users: [BOB] })),
      started.add(startCyrus({ users: [ADA] })),
    ]);
    const config = (folder: string): string => `
version: 1
listeners:
  - { protocol: lmtp, address: "unix:${folder}/lmtp", owner: postfix, group: postfix, permissions: "0660" }
  - { protocol: lmtp, address: "127.0.0.1:${port}" }
backends:
  old: { lmtp: "unix:${cyrus.lmtpSocket}" }
  new: { lmtp: "127.0.0.1:${dovecot.lmtpPort}" }
tables:
  users: { type: static, entries: { ada: old, bob: new } }
routing: { key: localpart, recipient_delimiter: "+", tables: [users] }
`;
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config }));
  });
  after(() => started.stop());

  const nexthops = {
    "lmtp:unix": () => `lmtp:unix:${mailshunt.folder}/lmtp`,
    "lmtp:inet": () => `lmtp:inet:127.0.0.1:${port}`,
  };
  for (const [way, parameters] of Object.entries(WAYS))
    for (const [kind, nexthop] of Object.entries(nexthops))
      test(`${way} = ${kind}`, async () => {
        await postfix.configure({ ...NO_WAY, ...parameters(nexthop()) });
        const message = newMessage();
        // The extension is not part of the user key, and goes to the store as it came.
        const to = [ADA, "bob+list@example.com"];
        const queueId = await postfix.send({ from: "s@x.example", to }, message.content);
        for (const recipient of to) {
          const delivery = await postfix.waitForDelivery(queueId, recipient, "sent");
          assert.equal(delivery.agent, "lmtp");
          assert.match(delivery.relay, kind === "lmtp:unix" ? /^mx\.example\[.*\/lmtp\]$/ : /^127\.0\.0\.1\[/);
        }
        await postfix.waitForEmptyQueue();
        assert.equal(countCopies(await cyrus.messages(ADA), message), 1);
        assert.equal(countCopies(await dovecot.messages(BOB), message), 1);
        const lines = await mailshunt.waitForDeliveries(queueId, 2);
        assert.deepEqual(lines.map(({ backend }) => backend).toSorted(), ["new", "old"]);
        // local(8) hands over each recipient alone.
        const isAlone = way === "mailbox_transport" || way === "fallback_transport";
        assert.equal(new Set(lines.map(({ session }) => session)).size, isAlone ? 2 : 1);
      });

  test("a chrooted lmtp(8), and mailshunt that has given up root", async () => {
    const jailed = await started.add(
      startPostfix({ isChrooted: true, main: { virtual_mailbox_domains: "example.com" } }),
    );
    const socket = join(jailed.queueFolder, "private/mailshunt");
    const config = (): string => `
version: 1
process: { user: nobody, group: nogroup }
listeners:
  - { protocol: lmtp, address: "unix:${socket}", owner: postfix, group: postfix, permissions: "0660" }
backends:
  old: { lmtp: "unix:${cyrus.lmtpSocket}" }
tables:
  users: { type: static, entries: { ada: old } }
routing: { tables: [users] }
`;
    // Twice: the second one finds the socket that the first, no longer root, could not remove from private/.
    for (const round of ["first", "second"]) {
      const daemon = await startMailshunt({ program: "mailshunt", config });
      try {
        for (const nexthop of ["lmtp:unix:private/mailshunt", "lmtp:unix:/private/mailshunt"]) {
          await jailed.configure({ virtual_transport: nexthop });
          const message = newMessage(`${round} ${nexthop}`);
          const queueId = await jailed.send({ from: "s@x.example", to: [ADA] }, message.content);
          await jailed.waitForDelivery(queueId, ADA, "sent");
          assert.equal(countCopies(await cyrus.messages(ADA), message), 1);
        }
      } finally {
        await daemon.stop();
      }
    }
  });
});
