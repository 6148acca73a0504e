import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { startHttpService, type HttpService } from "../support/http-service.ts";
import { type Postfix, POSTFIX_PACKAGES, startPostfix } from "../support/postfix.ts";
import { findFreePorts } from "../support/processes.ts";
import { connectSmtp } from "../support/smtp-client.ts";
import { startMaildirStore } from "./mailshunt.ts";
import { newMessage, type TestMessage } from "./messages.ts";
import { type Podop, startPodop } from "./podop.ts";
import { createStarted, whyNot } from "./servers.ts";
import { TROUBLES } from "./troubles.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";

describe("Postfix asks podop, as podop's manual has it", { skip: await whyNot(POSTFIX_PACKAGES) }, () => {
  const started = createStarted();
  let postfix: Postfix, service: HttpService, podop: Podop;
  let mailFolder = "";

  before(async () => {
    const [storePort = 0] = await findFreePorts(1);
    mailFolder = (await started.add(startMaildirStore(storePort))).folder;
    service = await started.add(
      startHttpService({
        "/domain/example.com": "example.com",
        "/domain/catch.example": "catch.example",
        [`/alias/${ADA}`]: ADA,
        [`/alias/${BOB}`]: BOB,
        '/alias/"odd user"@example.com': "odd.user@example.com",
        "/alias/odd.user@example.com": "odd.user@example.com",
        "/alias/list@example.com": `${ADA},${BOB}`,
        "/alias/a/b@example.com": ADA,
        "/alias/100%§{}?#@example.com": ADA,
        "/alias/üser@example.com": ADA,
        "/other/list": { members: [ADA] },
      }),
    );
    const table = (name: string): { name: string; param: string } => ({ name, param: `${service.url}/${name}/§` });
    [postfix, podop] = await Promise.all([
      started.add(startPostfix()),
      started.add(
        startPodop({
          mode: "postfix",
          runAs: { user: "postfix", group: "postfix" },
          tables: [table("alias"), table("domain"), { name: "other", param: `${service.url}/other/{}` }],
        }),
      ),
    ]);
    await postfix.configure({
      // As the manual says, but for the path.
      podop: `socketmap:unix:${podop.socket}`,
      virtual_alias_maps: "${podop}:alias",
      virtual_mailbox_domains: "${podop}:domain",
      virtual_mailbox_maps: "${podop}:alias",
      // As Mailu says: else each domain is looked for among the aliases.
      virtual_alias_domains: "",
      virtual_transport: `lmtp:inet:127.0.0.1:${storePort}`,
      smtpd_recipient_restrictions: "reject_unlisted_recipient",
    });
  });
  after(() => started.stop());
  beforeEach(async () => assert.deepEqual(await postfix.queue(), []));

  const rcpt = async (to: string): Promise<string> => {
    const client = await connectSmtp(postfix.smtpPort);
    try {
      assert.match(await client.command("MAIL FROM:<s@x.example>"), /^250 /);
      return await client.command(`RCPT TO:<${to}>`);
    } finally {
      client.close();
    }
  };
  const ask = async (key: string, map = "alias"): Promise<unknown> => {
    const { code, stdout } = await postfix.postmap(`socketmap:unix:${podop.socket}:${map}`, key);
    return { code, out: stdout };
  };
  /** How often a message lies in the mailbox of ada. */
  const countArrived = async ({ id }: TestMessage): Promise<number> => {
    const folder = join(mailFolder, "ada/Maildir/new");
    const messages = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
    return messages.filter((message) => message.includes(id)).length;
  };

  test("aliases expand, mail arrives, and who is unknown is refused", async () => {
    const queueId = await postfix.send({ from: "s@x.example", to: ["list@example.com"] }, newMessage().content);
    await postfix.waitForDelivery(queueId, ADA, "sent");
    await postfix.waitForDelivery(queueId, BOB, "sent");
    assert.match(await rcpt("nobody@example.com"), /^550 5\.1\.1 .*unknown in virtual mailbox table/);
    assert.match(await rcpt('"odd user"@example.com'), /^250 /);
  });

  test("the service is asked as podop asks it", async () => {
    const keys = [
      { key: '"odd user"@example.com', target: "/alias/%22odd%20user%22%40example.com" },
      { key: "a/b@example.com", target: "/alias/a/b%40example.com" },
      { key: "100%§{}?#@example.com", target: "/alias/100%25%C2%A7%7B%7D%3F%23%40example.com" },
      { key: "üser@example.com", target: "/alias/%C3%BCser%40example.com" },
    ];
    for (const { key, target } of keys) {
      const from = service.requests.length;
      assert.equal(((await ask(key)) as { code: number }).code, 0, key);
      // An smtpd(8) of the test before may still be asking.
      const asked = service.requests.slice(from).filter(({ path }) => path === `/alias/${key}`);
      assert.deepEqual(asked, [{ method: "GET", target, path: `/alias/${key}`, body: "" }]);
    }
  });

  test("what is no string is given as JSON", async () =>
    assert.deepEqual(await ask("list", "other"), { code: 0, out: `{"members":["${ADA}"]}\n` }));

  for (const status of [400, 401, 403, 404, 410, 418])
    test(`status ${status} is a miss`, async () => {
      service.statuses.set("/alias/x@example.com", status);
      assert.deepEqual(await ask("x@example.com"), { code: 1, out: "" });
      assert.match(await rcpt("x@example.com"), /^550 5\.1\.1 /);
    });
  test("a service that may refuse us is told of", async () => {
    await podop.log.waitFor(/error: .*x%40example\.com: status 401 .*refuse us/);
  });

  for (const status of [408, 425, 429, 500, 502, 503, 204, 301])
    test(`status ${status} is a failure, and only of mail to the one`, async () => {
      service.statuses.set("/alias/x@example.com", status);
      assert.match(await rcpt("x@example.com"), /^451 4\.3\.0 /);
      assert.match(await rcpt(ADA), /^250 /);
    });

  for (const { what, begin, end } of TROUBLES)
    test(`while the service ${what} mail waits and none bounces; then it arrives`, async () => {
      await begin(service);
      assert.match(await rcpt(ADA), /^451 4\.3\.0 .*: Temporary lookup failure/);
      assert.match(await rcpt("nobody@example.com"), /^451 4\.3\.0 /);
      // By sendmail(1): nobody looks for its recipient before cleanup(8) does.
      const message = newMessage();
      const from = postfix.log.text().length;
      await postfix.sendmail("s@x.example", [ADA], message.content);
      await postfix.log.waitFor(/cleanup\[.*virtual_alias_maps map lookup problem for ada@/, { from });
      assert.equal((await postfix.queue()).length, 1);
      await end(service);
      await postfix.waitForEmptyQueue();
      assert.equal(await countArrived(message), 1);
    });

  test("mail that was taken before waits as well, where its way cannot be told", async () => {
    await postfix.configure({ defer_transports: "lmtp" });
    const message = newMessage();
    const queueId = await postfix.send({ from: "s@x.example", to: [ADA] }, message.content);
    await postfix.waitForDelivery(queueId, ADA, "deferred");
    service.behave({ kind: "status", status: 503 });
    const from = postfix.log.text().length;
    await postfix.configure({ defer_transports: "" });
    await postfix.flush();
    await postfix.log.waitFor(new RegExp(`${queueId}: to=<${ADA}>.*status=deferred .address resolver failure`), {
      from,
    });
    service.behave({ kind: "well" });
    // qmgr(8) remembers for 30 s what became of the last address that it asked for. Source: resolve_clnt.c.
    await postfix.send({ from: "s@x.example", to: [BOB] }, newMessage().content);
    await postfix.waitForDelivery(queueId, ADA, "sent");
    await postfix.waitForEmptyQueue();
    assert.equal(await countArrived(message), 1);
  });

  test("nothing has bounced", () =>
    assert.deepEqual(
      postfix.deliveries().filter(({ status }) => status === "bounced"),
      [],
    ));
});
