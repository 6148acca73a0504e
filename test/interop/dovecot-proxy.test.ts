import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Dovecot, findDovecotPop3, startDovecot } from "../support/dovecot.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { findFreePorts, makeSearchableFolder, removeFolder } from "../support/processes.ts";
import { dovecotImapFolder } from "./dovecot-imap.ts";
import { connectLines } from "./line-client.ts";
import { startLoginStore, storeBehind, whyNoDovecotLogins } from "./logins.ts";
import { type Mailshunt, startMailshunt } from "./mailshunt.ts";
import { newMessage } from "./messages.ts";
import { createStarted } from "./servers.ts";

const [ADA, BOB] = ["ada@example.com", "bob@example.com"];

describe("a Dovecot proxies as a passdb of the router says", { skip: await whyNoDovecotLogins() }, () => {
  const started = createStarted();
  let folder = "";
  let mailshunt: Mailshunt;
  let proxy: Dovecot;
  let [old, young]: (Dovecot | undefined)[] = [];
  let lmtpPort = 0;

  const config = (home: string): string => `
version: 1
listeners:
  - { protocol: lmtp, address: "127.0.0.1:${lmtpPort}" }
  - { protocol: dict, address: "unix:${folder}/dict", permissions: "0666" }
backends:
  old:
    lmtp: "127.0.0.1:${old?.lmtpPort}"
    imap: { address: "localhost:${old?.imapPort}", master_user: admin, password: master }
    pop3: { address: "127.0.0.1:${old?.pop3Port}" }
  new:
    lmtp: "127.0.0.1:${young?.lmtpPort}"
    imap: { address: "127.0.0.1:${young?.imapPort}" }
    pop3: { address: "127.0.0.1:${young?.pop3Port}" }
  lost: { lmtp: "127.0.0.1:9", imap: { address: "no-such-name.invalid:143" }, pop3: { address: "127.0.0.1:9" } }
tables:
  users: { type: static, entries: { ada: ${home}, bob: new, gone: refuse, moving: hold, lost: lost } }
  proxy: { type: routing, as: passdb }
  master: { type: routing, as: passdb, service: imap, master_login: true }
routing: { tables: [users] }
`;

  before(async () => {
    folder = await makeSearchableFolder("dovecot-proxy");
    [old, young] = await Promise.all([
      started.add(startLoginStore("old", folder)),
      started.add(startLoginStore("new", folder)),
    ]);
    [lmtpPort = 0] = await findFreePorts(1);
    mailshunt = await started.add(startMailshunt({ program: "mailshunt", config: () => config("old") }));
    await writeFile(join(folder, "passdb.conf"), dictPassdb("proxy", "%Ls/%u"));
    await writeFile(join(folder, "master.conf"), dictPassdb("master", "%u"));
    const pop3 = await findDovecotPop3();
    proxy = await started.add(
      startDovecot({
        users: [],
        imapFolder: await dovecotImapFolder(),
        pop3Folder: pop3.kind === "ready" ? pop3.folder : "",
        auth: `
auth_master_user_separator =
passdb {
  driver = dict
  args = ${folder}/passdb.conf
}
userdb {
  driver = passwd-file
  args = /dev/null
}
`,
        config: `
auth_failure_delay = 0
auth_username_chars =
protocol lmtp {
  lmtp_proxy = yes
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
      }),
    );
  });
  after(async () => {
    await started.stop();
    await removeFolder(folder);
  });

  const dictPassdb = (table: string, key: string): string => `uri = proxy:${folder}/dict:${table}
iterate_disable = yes
key ${table} {
  key = ${key}
  format = json
}
passdb_objects = ${table}
`;

  for (const [user, store] of [
    [ADA, "old"],
    ["Ada@Example.com", "old"],
    ["ada", "old"],
    [BOB, "new"],
  ] as const)
    test(`IMAP: ${user} reaches ${store}`, async () => assert.equal(await storeBehind(proxy.imapPort, user), store));

  test("IMAP: no passdb without passwords gets anybody in without the store's word", async () => {
    assert.match(await storeBehind(proxy.imapPort, ADA, "wrong"), /^NO \[AUTHENTICATIONFAILED\]/);
    assert.match(await storeBehind(proxy.imapPort, BOB, "wrong"), /^NO \[AUTHENTICATIONFAILED\]/);
  });

  const refused = [
    { what: "an unknown user", user: "eve@example.com", want: /^NO \[AUTHENTICATIONFAILED\]/ },
    { what: "a refused user", user: "gone@example.com", want: /^NO .*This mailbox is closed/ },
    { what: "a user whom a table holds", user: "moving@example.com", want: /^NO \[UNAVAILABLE\]/ },
    { what: "a store whose name nobody knows", user: "lost@example.com", want: /^NO \[UNAVAILABLE\]/ },
  ];
  for (const { what, user, want } of refused)
    test(`IMAP: ${what}`, async () => assert.match(await storeBehind(proxy.imapPort, user), want));

  const mail = [
    { what: "a user", to: ADA, want: /^250 2\.0\.0 / },
    { what: "an unknown user", to: "eve@example.com", want: /^550 5\.1\.1 / },
    { what: "a refused user", to: "gone@example.com", want: /^550 5\.7\.1 .*mail for gone is refused/ },
    { what: "a held user", to: "moving@example.com", want: /^451 4\.3\.0 / },
  ];
  for (const { what, to, want } of mail)
    test(`LMTP: mail for ${what}`, async () => {
      using lmtp = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port: proxy.lmtpPort });
      await lmtp.lhlo();
      const replies = await lmtp.transaction({ recipients: [to], content: newMessage().content });
      assert.match(replies.final[0] ?? replies.rcpt[0] ?? "", want);
    });

  test("LMTP goes through us to the store, and POP3 reads there", async () => {
    const message = newMessage();
    using lmtp = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port: proxy.lmtpPort });
    await lmtp.lhlo();
    await lmtp.transaction({ recipients: [BOB], content: message.content });
    await mailshunt.log.waitFor(new RegExp(`to=<${BOB}>, .* status=sent .* backend=new`));
    const client = await connectLines(proxy.pop3Port);
    await client.say(`USER ${BOB}`, /^/);
    assert.match(await client.say("PASS secret", /^/), /^\+OK/);
    assert.equal(await client.say("RETR 1", /^Message-ID/i), `Message-ID: <${message.id}>`);
    client.close();
  });

  test("IMAP: where a passdb before has checked the password, the store takes ours", async () => {
    const checking = await started.add(
      startDovecot({
        users: [],
        imapFolder: await dovecotImapFolder(),
        auth: `
passdb {
  driver = static
  args = password=known-here
  result_success = continue
}
passdb {
  driver = dict
  args = ${folder}/master.conf
  skip = unauthenticated
}
userdb {
  driver = passwd-file
  args = /dev/null
}
`,
        config: `
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
      }),
    );
    assert.equal(await storeBehind(checking.imapPort, ADA, "known-here"), "old");
    assert.match(await storeBehind(checking.imapPort, ADA, "wrong"), /^NO \[AUTHENTICATIONFAILED\]/);
    assert.match(await storeBehind(checking.imapPort, ADA), /^NO \[AUTHENTICATIONFAILED\]/);
  });

  test("after a reload every login goes to the new store", async () => {
    await mailshunt.reload(config("new"));
    assert.equal(await storeBehind(proxy.imapPort, ADA), "new");
  });

  test("while nobody answers, nobody is refused for good", async () => {
    await mailshunt.stop();
    assert.match(await storeBehind(proxy.imapPort, ADA), /^NO \[UNAVAILABLE\]/);
    mailshunt = await startMailshunt({ program: "mailshunt", config: () => config("old") });
    started.add(Promise.resolve(mailshunt)).catch(() => undefined);
    assert.equal(await storeBehind(proxy.imapPort, ADA), "old");
  });
});
