import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { type Postfix, POSTFIX_PACKAGES, startPostfix } from "../support/postfix.ts";
import { findFreePorts } from "../support/processes.ts";
import { connectSmtp } from "../support/smtp-client.ts";
import { startHttpService, type HttpService } from "../support/http-service.ts";
import { startMaildirStore, startMailshunt } from "./mailshunt.ts";
import { newMessage } from "./messages.ts";
import { createStarted, whyNot } from "./servers.ts";

const ADA = "ada@example.com";
const LONG_KEY = `${"k".repeat(3000)}@example.com`;

describe("Postfix asks tcp_table", { skip: await whyNot(POSTFIX_PACKAGES) }, () => {
  const started = createStarted();
  let postfix: Postfix, service: HttpService;
  let ports: readonly number[] = [];
  const table = (index: number): string => `tcp:127.0.0.1:${ports[index]}`;

  const config = (): string => `
version: 1
listeners:
  - { protocol: tcp-table, address: "127.0.0.1:${ports[1]}", table: alias }
  - { protocol: tcp-table, address: "127.0.0.1:${ports[2]}", table: mailbox }
  - { protocol: tcp-table, address: "127.0.0.1:${ports[3]}", table: remote }
tables:
  alias:
    type: static
    key: { fold: all, recipient_delimiter: "+" }
    entries: { list@example.com: "ada@example.com, 100%off@example.com" }
  mailbox:
    type: static
    key: { fold: all, recipient_delimiter: "+" }
    entries: { ada@example.com: 1, "100%off@example.com": "a b%c", "odd user@example.com": 1, üser@example.com: ü, empty@example.com: "", ${LONG_KEY}: 1 }
  remote: { type: url, url: "${service.url}/user/{}", breaker: { min_backoff: 100ms, max_backoff: 200ms } }
`;

  before(async () => {
    ports = await findFreePorts(4);
    service = await started.add(startHttpService({ [`/user/${ADA}`]: "yes" }));
    [postfix] = await Promise.all([
      started.add(startPostfix({ isChrooted: true })),
      started.add(startMailshunt({ program: "mailshunt", config })),
      started.add(startMaildirStore(ports[0] ?? 0)),
    ]);
    await postfix.configure({
      virtual_mailbox_domains: "example.com",
      virtual_alias_domains: "",
      virtual_alias_maps: table(1),
      virtual_mailbox_maps: table(2),
      virtual_transport: `lmtp:inet:127.0.0.1:${ports[0]}`,
      smtpd_recipient_restrictions: "reject_unlisted_recipient",
    });
  });
  after(() => started.stop());

  const rcpt = async (to: string): Promise<string> => {
    const client = await connectSmtp(postfix.smtpPort);
    try {
      assert.match(await client.command("MAIL FROM:<s@x.example>"), /^250 /);
      return await client.command(`RCPT TO:<${to}>`);
    } finally {
      client.close();
    }
  };

  test("aliases expand, mail arrives, and who is unknown is refused", async () => {
    const queueId = await postfix.send({ from: "s@x.example", to: ["List+x@Example.COM"] }, newMessage().content);
    await postfix.waitForDelivery(queueId, ADA, "sent");
    await postfix.waitForDelivery(queueId, "100%off@example.com", "sent");
    assert.match(await rcpt("nobody@example.com"), /^550 5\.1\.1 /);
    assert.match(await rcpt('"odd user"@example.com'), /^250 /);
  });

  const queries = [
    { what: "blanks and % in the value", key: "100%off@example.com", code: 0, out: "a b%c\n" },
    { what: "a blank in the key", key: "odd user@example.com", code: 0, out: "1\n" },
    { what: "UTF-8", key: "ÜSER+x@Example.com", code: 0, out: "ü\n" },
    { what: "an empty value", key: "empty@example.com", code: 0, out: "\n" },
    { what: "a long key", key: LONG_KEY, code: 0, out: "1\n" },
    { what: "the wildcard", key: "*", code: 1, out: "" },
  ];
  for (const { what, key, code, out } of queries)
    test(`postmap -q: ${what}`, async () => {
      const ran = await postfix.postmap(table(2), key);
      assert.deepEqual({ code: ran.code, out: ran.stdout }, { code, out });
    });

  test("while its source is down mail waits, and it arrives when that is back", async () => {
    await postfix.configure({ virtual_mailbox_maps: table(3) });
    assert.match(await rcpt(ADA), /^250 /);
    await service.goDown();
    assert.match(await rcpt(ADA), /^451 4\.3\.0 /);
    assert.match(await rcpt("nobody@example.com"), /^451 4\.3\.0 /);
    await service.comeBack();
    const queueId = await untilAccepted(ADA);
    await postfix.waitForDelivery(queueId, ADA, "sent");
    assert.match(await rcpt("nobody@example.com"), /^550 5\.1\.1 /);
    assert.deepEqual(
      postfix.deliveries().filter(({ status }) => status === "bounced"),
      [],
    );
  });

  /** As a sending MTA does: again until it is taken. */
  async function untilAccepted(to: string): Promise<string> {
    for (;;)
      try {
        return await postfix.send({ from: "s@x.example", to: [to] }, newMessage().content);
      } catch (error) {
        assert.match(String(error), /451 4\.3\.0/);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
  }

  test("a client is answered by hand as well", async () => {
    const socket = connect(ports[2] ?? 0, "127.0.0.1");
    socket.write("get ada%40example.com\r\n");
    assert.equal(String((await once(socket, "data"))[0]), "200 1\n");
    socket.destroy();
  });
});
