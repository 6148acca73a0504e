import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Dovecot, startDovecot } from "../support/dovecot.ts";
import { startHttpService, type HttpService } from "../support/http-service.ts";
import { connectLmtp } from "../support/lmtp-client.ts";
import { makeSearchableFolder, type Ran, removeFolder, runOk } from "../support/processes.ts";
import { until } from "../support/until.ts";
import {
  dovecotImapFolder,
  getMetadata,
  logIn,
  ODD_METADATA,
  setMetadata,
  tryLogIn,
  whyNoDovecotImap,
} from "./dovecot-imap.ts";
import { type Podop, startPodop } from "./podop.ts";
import { createStarted } from "./servers.ts";
import { TROUBLES } from "./troubles.ts";

const ADA = "ada@example.com";
const BOB = "bob@example.com";

/** Exit codes of doveadm. Source: sysexits.h. */
const NO_SUCH_USER = 67;
const NO_SUCH_KEY = 68;
const TEMPORARY_FAILURE = 75;

describe("Dovecot asks podop, as podop's manual and Mailu have it", { skip: await whyNoDovecotImap() }, () => {
  const started = createStarted();
  let dovecot: Dovecot, service: HttpService, podop: Podop;
  let folder = "";

  before(async () => {
    folder = await makeSearchableFolder("podop-dovecot");
    await runOk(["mkdir", join(folder, "mail")]);
    await runOk(["chown", "mail:mail", join(folder, "mail")]);
    service = await started.add(
      startHttpService({
        [`/passdb/${ADA}`]: { password: "secret" },
        [`/userdb/${ADA}`]: { home: join(folder, "mail/ada"), quota_rule: "*:bytes=100000000" },
        // As Mailu, which has checked the password before.
        [`/passdb/${BOB}`]: { password: null, nopassword: "Y", allow_real_nets: "127.0.0.0/8" },
        [`/userdb/${BOB}`]: { home: join(folder, "mail/bob"), quota_rule: "*:bytes=100000000" },
      }),
    );
    const param = `${service.url}/§`;
    podop = await started.add(
      startPodop({
        mode: "dovecot",
        runAs: { user: "mail", group: "mail" },
        tables: ["auth", "meta", "quota"].map((name) => ({ name, param })),
      }),
    );
    await writeFile(
      join(folder, "auth.conf"),
      `uri = proxy:${podop.socket}:auth
iterate_disable = yes
default_pass_scheme = plain
password_key = passdb/%u
user_key = userdb/%u
`,
    );
    dovecot = await started.add(
      startDovecot({
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
mail_attribute_dict = proxy:${podop.socket}:meta
mail_plugins = $mail_plugins quota_clone
protocol imap {
  imap_metadata = yes
  mail_plugins = $mail_plugins last_login
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_clone_dict = proxy:${podop.socket}:quota
  last_login_dict = proxy:${podop.socket}:meta
  last_login_key = last-login/%u
}
auth_failure_delay = 0
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

  const enter = (user: string, password: string): Promise<string> => tryLogIn(dovecot.imapPort, user, password);

  test("who has the password logs in, and nobody else", async () => {
    assert.equal(await enter(ADA, "secret"), "OK");
    assert.equal(await enter("Ada@Example.com", "secret"), "OK");
    assert.equal(await enter(BOB, "anything"), "OK");
    assert.match(await enter(ADA, "wrong"), /NO \[AUTHENTICATIONFAILED\]/);
    assert.match(await enter("nobody@example.com", "secret"), /NO \[AUTHENTICATIONFAILED\]/);
  });

  for (const { what, begin, end } of TROUBLES)
    test(`while the service ${what} nobody is told that a password is wrong; then logging in works`, async () => {
      await begin(service);
      const [known, unknown, tested, looked] = await Promise.all([
        enter(ADA, "secret"),
        enter("nobody@example.com", "secret"),
        dovecot.doveadm("auth", "test", ADA, "secret"),
        dovecot.doveadm("user", ADA),
      ]);
      for (const answer of [known, unknown])
        assert.match(answer, /NO \[UNAVAILABLE\] Temporary authentication failure/);
      assert.match(tested.stdout, /auth failed\n(.*\n)*  code=temp_fail\n/);
      assert.equal(looked.code, TEMPORARY_FAILURE);
      await end(service);
      await until("logging in works", async () => ((await enter(ADA, "secret")) === "OK" ? true : undefined));
      assert.match(await enter(ADA, "wrong"), /NO \[AUTHENTICATIONFAILED\]/);
      assert.equal((await dovecot.doveadm("user", "nobody@example.com")).code, NO_SUCH_USER);
    });

  test("LMTP takes mail for users, refuses others, and defers while nobody can tell", async () => {
    const client = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port: dovecot.lmtpPort });
    try {
      await client.lhlo();
      const taken = await client.transaction({ recipients: [ADA, "nobody@example.com"] });
      assert.match(taken.rcpt.join("\n"), /^250 .*\n550 5\.1\.1 .*doesn't exist/);
      assert.match(taken.final.join("\n"), /^250 2\.0\.0 .* Saved$/);
      service.statuses.set(`/userdb/${BOB}`, 503);
      const deferred = await client.transaction({ recipients: [ADA, BOB] });
      assert.match(deferred.rcpt.join("\n"), /^250 .*\n451 4\.3\.0 <bob@example\.com> Temporary /);
    } finally {
      service.statuses.clear();
      client[Symbol.dispose]();
    }
  });

  for (const { what, value } of ODD_METADATA)
    test(`an annotation by METADATA: ${what}`, async () => {
      const client = await logIn(dovecot.imapPort, ADA, "secret");
      const from = service.requests.length;
      try {
        for (const entry of ["/private/comment", "/shared/vendor/x/y"]) {
          await setMetadata(client, entry, value);
          assert.equal(String(await getMetadata(client, entry)), String(value));
          await client.command(`SETMETADATA INBOX (${entry} NIL)`);
          assert.equal(await getMetadata(client, entry), undefined);
        }
      } finally {
        client.close();
      }
      const guid = /[0-9a-f]{32}/;
      const asked = service.requests.slice(from).filter(({ path }) => guid.test(path));
      assert.deepEqual(
        asked.map(({ method, path }) => `${method} ${path.replace(guid, "GUID")}`),
        [`/GUID/comment/${ADA}`, "/GUID/vendor/x/y"].flatMap((path) =>
          ["POST", "GET", "DELETE", "GET"].map((method) => `${method} ${path}`),
        ),
      );
    });

  test("an annotation that was not written is not said to be", async () => {
    const client = await logIn(dovecot.imapPort, ADA, "secret");
    try {
      service.behave({ kind: "status", status: 503 });
      await assert.rejects(client.command('SETMETADATA INBOX (/private/comment "x")'), / NO /);
      await assert.rejects(client.command("GETMETADATA INBOX (/private/comment)"), / NO /);
    } finally {
      service.behave({ kind: "well" });
      client.close();
    }
  });

  test("the last login is written down", async () => {
    const path = `/last-login/${ADA}`;
    service.values.delete(path);
    const seconds = Math.floor(Date.now() / 1000);
    assert.equal(await enter(ADA, "secret"), "OK");
    const written = await until("the last login", () => service.values.get(path));
    assert.ok(typeof written === "number" && written >= seconds, String(written));
  });

  test("doveadm dict", async () => {
    const dict = (...words: readonly string[]): Promise<Ran> =>
      dovecot.doveadm("dict", words[0] ?? "", "-u", ADA, `proxy:${podop.socket}:meta`, ...words.slice(1));
    const ok = (stdout: string): Ran => ({ code: 0, stdout, stderr: "" });
    assert.deepEqual(await dict("set", "shared/d/a", "a\tb\nc"), ok(""));
    assert.equal((await dict("get", "shared/d/a")).stdout.trimEnd(), "a\tb\nc");
    assert.deepEqual(await dict("set", "priv/d/b", "mine"), ok(""));
    assert.equal((await dict("get", "priv/d/b")).stdout.trimEnd(), "mine");
    assert.equal(service.values.get(`/d/b/${ADA}`), "mine");
    assert.deepEqual(await dict("iter", "shared/d/"), ok("key\tvalue\nshared/d/a\ta\tb\nc\n"));
    assert.deepEqual(await dict("unset", "shared/d/a"), ok(""));
    assert.equal((await dict("get", "shared/d/a")).code, NO_SUCH_KEY);
    assert.deepEqual(await dict("unset", "shared/d/a"), ok(""));
    const increment = await dict("inc", "shared/d/n", "1");
    assert.equal(increment.code, TEMPORARY_FAILURE);
    assert.match(increment.stderr, /cannot increment atomically/);
  });

  test("a write that failed is a failure", async () => {
    service.statuses.set("/d/bad", 500);
    const uri = `proxy:${podop.socket}:meta`;
    const { code, stderr } = await dovecot.doveadm("dict", "set", uri, "shared/d/bad", "x");
    assert.equal(code, TEMPORARY_FAILURE);
    assert.match(stderr, /failed: dict-server returned failure: http:.*\/d\/bad: status 500/);
    service.statuses.clear();
  });

  test("two writes together, of which the second fails, are uncertain", async () => {
    service.statuses.set(`/quota/messages/${ADA}`, 500);
    const client = await connectLmtp({ kind: "tcp", host: "127.0.0.1", port: dovecot.lmtpPort });
    await client.lhlo();
    const { final } = await client.transaction({ recipients: [ADA] });
    assert.match(final.join(), /^250 /);
    client.end();
    await dovecot.log.waitFor(
      /quota_clone_dict: Write was unconfirmed .*quota\/messages\/ada%40example\.com: status 500/,
    );
    assert.equal(typeof service.values.get(`/quota/storage/${ADA}`), "number");
    service.statuses.clear();
  });
});
