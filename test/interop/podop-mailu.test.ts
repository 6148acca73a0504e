import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { startHttpService, type HttpService } from "../support/http-service.ts";
import { type Postfix, POSTFIX_PACKAGES, startPostfix } from "../support/postfix.ts";
import { findFreePorts, makeSearchableFolder, removeFolder, runOk } from "../support/processes.ts";
import { connectSmtp, type SmtpClient } from "../support/smtp-client.ts";
import { until } from "../support/until.ts";
import { dovecotImapFolder, logIn, tryLogIn, whyNoDovecotImap } from "./dovecot-imap.ts";
import { startMaildirStore } from "./mailshunt.ts";
import { mailuValues } from "./mailu-service.ts";
import { newMessage, type TestMessage } from "./messages.ts";
import { startPodop } from "./podop.ts";
import { createStarted, whyNot } from "./servers.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";
const MESSAGES = 60;

const whyNoServers = async (): Promise<string | false> => {
  const reason = await whyNot(POSTFIX_PACKAGES);
  return reason === false ? whyNoDovecotImap() : reason;
};

describe("Postfix and Dovecot ask one web service, as Mailu has it", { skip: await whyNoServers() }, () => {
  const started = createStarted();
  let postfix: Postfix, dovecot: Dovecot, service: HttpService;
  let folder = "";
  let relayFolder = "";

  before(async () => {
    folder = await makeSearchableFolder("mailu");
    await runOk(["mkdir", join(folder, "mail")]);
    await runOk(["chown", "mail:mail", join(folder, "mail")]);
    const [relayPort = 0] = await findFreePorts(1);
    relayFolder = (await started.add(startMaildirStore(relayPort))).folder;
    const relay = `lmtp:inet:127.0.0.1:${relayPort}`;
    service = await started.add(
      startHttpService(
        mailuValues([ADA, BOB], join(folder, "mail"), {
          "postfix/domain/example.com": "example.com",
          "postfix/alias/team@example.com": `${ADA},${BOB}`,
          "postfix/sender/login/team@example.com": `${ADA},${BOB}`,
          // A bounce to an address that SRS made; smtpd(8) asks in lower case.
          "postfix/recipient/map/srs0=x=y=example.com=ada@example.com": ADA,
          "postfix/recipient/map/SRS0=x=y=example.com=ada@example.com": ADA,
          "postfix/sender/map/s@forwarded.example": "SRS0=a=b=forwarded.example=s@example.com",
          "postfix/transport/relay.example": relay,
          "postfix/transport/someone@relay.example": relay,
        }),
      ),
    );
    const url = `${service.url}/internal`;
    const paths = {
      transport: "transport",
      alias: "alias",
      dane: "dane",
      domain: "domain",
      mailbox: "mailbox",
      recipientmap: "recipient/map",
      sendermap: "sender/map",
      senderlogin: "sender/login",
      senderrate: "sender/rate",
    };
    const [forPostfix, forDovecot] = await Promise.all([
      started.add(
        startPodop({
          mode: "postfix",
          runAs: { user: "postfix", group: "postfix" },
          tables: Object.entries(paths).map(([name, path]) => ({ name, param: `${url}/postfix/${path}/§` })),
        }),
      ),
      started.add(
        startPodop({
          mode: "dovecot",
          runAs: { user: "mail", group: "mail" },
          tables: ["quota", "auth", "sieve"].map((name) => ({ name, param: `${url}/dovecot/§` })),
        }),
      ),
    ]);
    postfix = await started.add(startPostfix());
    dovecot = await started.add(startMailuDovecot(folder, forDovecot.socket, postfix.queueFolder));
    await postfix.configure({
      // From here on as in Mailu's main.cf, but for the path and what needs lmdb.
      podop: `socketmap:unix:${forPostfix.socket}:`,
      mydestination: "",
      virtual_alias_domains: "",
      virtual_alias_maps: "${podop}alias",
      virtual_mailbox_domains: "${podop}domain",
      virtual_mailbox_maps: "${podop}mailbox",
      relay_domains: "${podop}transport",
      transport_maps: "${podop}transport",
      virtual_transport: `lmtp:inet:127.0.0.1:${dovecot.lmtpPort}`,
      sender_canonical_maps: "${podop}sendermap",
      sender_canonical_classes: "envelope_sender",
      recipient_canonical_maps: "${podop}recipientmap",
      recipient_canonical_classes: "envelope_recipient,header_recipient",
      smtpd_sender_login_maps: "${podop}senderlogin",
      check_ratelimit: "check_sasl_access ${podop}senderrate",
      smtpd_helo_required: "yes",
      lmtp_host_lookup: "native",
      // As in its master.cf.
      smtpd_sasl_auth_enable: "yes",
      smtpd_client_restrictions:
        "$check_ratelimit,reject_unlisted_sender,reject_authenticated_sender_login_mismatch,permit",
      // Whom Mailu asks by its web server.
      smtpd_sasl_type: "dovecot",
      smtpd_sasl_path: "private/auth",
    });
  });
  after(async () => {
    await started.stop();
    await removeFolder(folder);
  });

  /** How often each message lies in a user's mailbox, by its id, as IMAP shows it. */
  const inbox = async (user: string): Promise<Map<string, number>> => {
    const client = await logIn(dovecot.imapPort, user, "anything");
    try {
      await client.command("SELECT INBOX");
      const found = await client.command("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])").catch(() => []);
      const counts = new Map<string, number>();
      for (const { literals } of found) {
        const id = /<(.*)>/.exec(String(literals[0]))?.[1] ?? "";
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      return counts;
    } finally {
      client.close();
    }
  };
  const deliver = async (from: string, to: string): Promise<TestMessage> => {
    const message = newMessage();
    await postfix.send({ from, to: [to] }, message.content);
    await postfix.waitForEmptyQueue();
    return message;
  };
  const withSmtp = async <Result>(act: (client: SmtpClient) => Promise<Result>): Promise<Result> => {
    const client = await connectSmtp(postfix.smtpPort);
    try {
      return await act(client);
    } finally {
      client.close();
    }
  };

  const recipients: readonly { what: string; to: string; users: readonly string[] }[] = [
    { what: "a user", to: ADA, users: [ADA] },
    { what: "an alias", to: "team@example.com", users: [ADA, BOB] },
    { what: "an address that SRS made", to: "SRS0=x=y=example.com=ada@example.com", users: [ADA] },
  ];
  for (const { what, to, users } of recipients)
    test(`mail to ${what} can be read by IMAP`, async () => {
      const { id } = await deliver("s@x.example", to);
      for (const user of [ADA, BOB]) assert.equal((await inbox(user)).get(id) ?? 0, users.includes(user) ? 1 : 0);
    });

  test("senders are rewritten, other domains are relayed", async () => {
    const { id } = await deliver("s@forwarded.example", "someone@relay.example");
    await postfix.log.waitFor(/from=<SRS0=a=b=forwarded\.example=s@example\.com>/);
    assert.equal((await readdir(join(relayFolder, "someone/Maildir/new"))).length, 1, id);
  });

  test("users send as themselves and as what is theirs, not as others, and not too much", async () => {
    const sendAs = (from: string): Promise<string> =>
      withSmtp(async (client) => {
        const plain = Buffer.from(`\0${ADA}\0anything`).toString("base64");
        assert.match(await client.command(`AUTH PLAIN ${plain}`), /^235 /);
        const mail = await client.command(`MAIL FROM:<${from}>`);
        return mail.startsWith("250") ? client.command(`RCPT TO:<${BOB}>`) : mail;
      });
    assert.match(await sendAs(ADA), /^250 /);
    assert.match(await sendAs("team@example.com"), /^250 /);
    assert.match(await sendAs(BOB), /^553 5\.7\.1 .*not owned by user/);
    assert.match(await sendAs("ghost@example.com"), /^5/);
    const path = `/internal/postfix/sender/rate/${ADA}`;
    service.values.set(path, "450 4.2.1 You are sending too many emails too fast.");
    assert.match(await sendAs(ADA), /^450 4\.2\.1 .*sending too many emails too fast/);
    service.values.delete(path);
    assert.match(await sendAs(ADA), /^250 /);
  });

  test("the quota in use is written to the service", async () => {
    const path = `/internal/dovecot/quota/messages/${BOB}`;
    service.values.delete(path);
    await deliver("s@x.example", BOB);
    const count = await until("a quota", () => service.values.get(path));
    assert.equal(count, (await inbox(BOB)).size);
  });

  test("a service that comes and goes loses no mail, repeats none and bounces none", async () => {
    let isOver = false;
    const disturb = async (): Promise<void> => {
      for (let round = 0; !isOver; round += 1) {
        if (round % 3 === 0) await service.goDown();
        else service.behave({ kind: "status", status: round % 3 === 1 ? 503 : 429 });
        await new Promise((resolve) => setTimeout(resolve, 300));
        service.behave({ kind: "well" });
        if (round % 3 === 0) await service.comeBack();
        await new Promise((resolve) => setTimeout(resolve, 1500));
      }
    };
    const disturbed = disturb();
    const sent: TestMessage[] = [];
    let refusals = 0;
    try {
      for (let n = 0; n < MESSAGES; n += 1) {
        const message = newMessage(`number ${n}`);
        const envelope = { from: "s@x.example", to: [n % 2 === 0 ? "team@example.com" : ADA] };
        for (let isTaken = false; !isTaken;)
          try {
            await postfix.send(envelope, message.content);
            isTaken = true;
            sent.push(message);
          } catch (error) {
            // The sender tries again, as every MTA does.
            assert.match(String(error), /expected \d+, got 4\d\d /);
            refusals += 1;
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
      }
    } finally {
      isOver = true;
      await disturbed;
    }
    // qmgr(8) remembers for 30 s that an address could not be resolved. Source: resolve_clnt.c.
    await postfix.waitForEmptyQueue({ withinMs: 45_000 });
    assert.ok(refusals > 0, "the service was never missed");
    assert.deepEqual(
      postfix.deliveries().filter(({ status }) => status === "bounced"),
      [],
    );
    const [ofAda, ofBob] = [await inbox(ADA), await inbox(BOB)];
    const counts = sent.map(({ id }, n) => ({ n, ada: ofAda.get(id) ?? 0, bob: ofBob.get(id) ?? 0 }));
    assert.deepEqual(
      counts.filter(({ n, ada, bob }) => ada !== 1 || bob !== (n % 2 === 0 ? 1 : 0)),
      [],
    );
    assert.equal(await tryLogIn(dovecot.imapPort, ADA, "anything"), "OK");
  });
});

async function startMailuDovecot(folder: string, socket: string, queueFolder: string): Promise<Dovecot> {
  await writeFile(
    join(folder, "auth.conf"),
    `uri = proxy:${socket}:auth
iterate_disable = yes
iterate_prefix = 'userdb/'
default_pass_scheme = plain
password_key = passdb/%u
user_key = userdb/%u
`,
  );
  return startDovecot({
    users: [],
    imapFolder: await dovecotImapFolder(),
    auth: `
passdb {
  driver = dict
  args = ${folder}/auth.conf
}
userdb {
  driver = dict
  args = ${folder}/auth.conf
}
`,
    config: `
auth_username_chars =
auth_mechanisms = plain login
disable_plaintext_auth = no
mail_plugins = $mail_plugins quota quota_clone
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_clone_dict = proxy:${socket}:quota
}
service auth {
  unix_listener auth-userdb {
  }
  unix_listener ${queueFolder}/private/auth {
    mode = 0600
    user = postfix
  }
}
service auth-worker {
  unix_listener auth-worker {
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`,
  });
}
