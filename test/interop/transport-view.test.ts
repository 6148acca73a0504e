import assert from "node:assert/strict";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { POSTFIX_PACKAGES, type Postfix, startPostfix } from "../support/postfix.ts";
import { findFreePorts } from "../support/processes.ts";
import { connectSmtp } from "../support/smtp-client.ts";
import { type Mailshunt, startMaildirStore, startMailshunt } from "./mailshunt.ts";
import { newMessage } from "./messages.ts";
import { createStarted, whyNot } from "./servers.ts";

describe("Postfix asks the router by transport_maps", { skip: await whyNot(POSTFIX_PACKAGES) }, () => {
  const started = createStarted();
  let postfix: Postfix, mailshunt: Mailshunt;
  let map = "";
  let storeFolder = "";
  let storePort = 0;

  const config = (ada: string): string => `
version: 1
listeners:
  - { protocol: socketmap, address: "unix:${postfix.queueFolder}/mailshunt/map", owner: postfix }
  - { protocol: lmtp, address: "unix:${postfix.queueFolder}/mailshunt/lmtp", owner: postfix }
backends: { old: { lmtp: "127.0.0.1:${storePort}" } }
tables:
  users: { type: static, entries: { ada: ${ada}, moving: hold, gone: refuse } }
  broken: { type: url, url: "http://127.0.0.1:9/{}", breaker: { failures: 1000 } }
  transport: { type: routing, as: transport, lmtp: "unix:mailshunt/lmtp", domains: [example.com] }
  straight: { type: routing, as: transport, direct: true, domains: [example.com] }
  homes: { type: routing, as: backend, domains: [example.com] }
routing: { tables: [users, broken] }
`;

  before(async () => {
    [storePort = 0] = await findFreePorts(1);
    postfix = await started.add(startPostfix({ isChrooted: true }));
    await mkdir(join(postfix.queueFolder, "mailshunt"));
    const store = await started.add(startMaildirStore(storePort));
    storeFolder = store.folder;
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config: () => config("old") }));
    map = `socketmap:unix:${postfix.queueFolder}/mailshunt/map`;
    await postfix.configure({
      transport_maps: "socketmap:unix:mailshunt/map:transport",
      virtual_mailbox_domains: "example.com",
      virtual_mailbox_maps: "static:1",
      virtual_transport: "error:5.7.0 nobody may end up here",
      mydestination: "",
    });
  });
  after(() => started.stop());

  /** What smtpd(8) says to a recipient. */
  const rcpt = async (to: string): Promise<string> => {
    const client = await connectSmtp(postfix.smtpPort);
    try {
      await client.command("MAIL FROM:<s@x.example>");
      return await client.command(`RCPT TO:<${to}>`);
    } finally {
      client.close();
    }
  };

  test("mail goes through us, by a path that a chrooted lmtp(8) sees", async () => {
    await postfix.send({ from: "s@x.example", to: ["Ada+lists@Example.com"] }, Buffer.from(newMessage().content));
    await postfix.waitForEmptyQueue();
    assert.equal((await readdir(join(storeFolder, "ada/Maildir/new"))).length, 1);
    assert.match(mailshunt.log.text(), /to=<Ada\+lists@Example\.com>, .* status=sent .* backend=old/);
  });

  const refused = [
    { what: "a held user", to: "moving@example.com", want: /^450 4\.2\.1 .*moving is on hold, try again later/ },
    { what: "a refused user", to: "gone@example.com", want: /^550 5\.7\.1 .*mail for gone is refused/ },
    { what: "a user of whom nobody can tell", to: "eve@example.com", want: /^451 4\.3\.0 / },
  ];
  for (const { what, to, want } of refused) test(`RCPT for ${what}`, async () => assert.match(await rcpt(to), want));

  const queries = [
    { table: "transport", key: "ada@example.com", want: "lmtp:unix:mailshunt/lmtp\n" },
    { table: "straight", key: "ada@example.com", want: () => `lmtp:inet:127.0.0.1:${storePort}\n` },
    { table: "homes", key: "ADA@example.com", want: "old\n" },
    { table: "transport", key: "*", want: "" },
    { table: "transport", key: "example.com", want: "" },
    { table: "transport", key: "ada@elsewhere.example", want: "" },
  ];
  for (const { table, key, want } of queries)
    test(`postmap -q ${key} of ${table}`, async () => {
      const { stdout, stderr } = await postfix.postmap(`${map}:${table}`, key);
      assert.deepEqual({ stdout, stderr }, { stdout: typeof want === "string" ? want : want(), stderr: "" });
    });

  test("a reload changes the answer at once", async () => {
    await mailshunt.reload(config("hold"));
    assert.match(
      (await postfix.postmap(`${map}:transport`, "ada@example.com")).stdout,
      /^retry:4\.2\.1 ada is on hold/,
    );
  });
});
